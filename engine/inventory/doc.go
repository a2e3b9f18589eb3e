// Package inventory reads which hosts there are, how they are grouped, and which
// variables hosts and groups bring.
//
// An inventory is a directory
//
//	groups/web.yml       hosts: [web1, web2]
//	                     subgroups: [canary]
//	group_vars/web.yml   port: 443
//	host_vars/web1.yml   weight: 2
//
// or an executable that prints groups as JSON, and several of them make one:
//
//	inv, err := inventory.Load(ctx, "inventory", "/etc/jet/from-cloud")
//	hosts, err := inv.Select([]string{"web"})
//	vars := inv.Vars(hosts[0])
//
// The name of a host may be a range, web[01:50].example.com or db-[a:f], that
// stands for many. Groups and hosts are chosen by name and by pattern: web*,
// db-[ab], !web-old to leave out, &site-eu to keep to.
//
// The group all always exists and holds every other group. The package does not
// know how hosts are reached; variables such as jet_ssh_hostname are the engine's.
package inventory
