// Package strictyaml reads YAML the way jet-bus wants all of its files read:
// exactly one document, no duplicate keys, no unknown keys, scalars resolved by
// the YAML 1.2 core rules, and every fault reported with the file, line and
// column it was found at. All faults of a document are reported, not the first.
//
// It is a leaf: it knows nothing of playbooks, rules or inventories. They
// describe their documents as structs and decode nodes into them:
//
//	f, err := strictyaml.Parse("site.yml", data)
//	var play Play
//	err = f.Decode(f.Root, &play)
//
// See [File.Decode] for the struct tags and the field types it understands.
package strictyaml
