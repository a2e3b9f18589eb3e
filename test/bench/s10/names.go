package main

import "fmt"

// Addresses of the lab. They exist in its namespaces alone.
const (
	hostPort = 2222
	// manyPort is that of the one server behind all the addresses of -many.
	manyPort = 2223
	manyMax  = 10_000

	controllerAddress = "10.76.0.1"
	gatewayAddress    = "10.76.0.2"
	hostNetwork       = "10.77.0.0/16"
)

// target is one name of an inventory.
type target struct {
	Name    string
	Address string
	Port    int
	// Base is the directory that the playbook works in.
	Base string
}

// hostName is the name of the lab's host i, counted from 1.
func hostName(i int) string { return fmt.Sprintf("h%03d", i) }

// hostTargets are the first n hosts of the lab.
func hostTargets(n int) []target {
	list := make([]target, n)
	for i := range list {
		list[i] = target{
			Name: hostName(i + 1), Address: fmt.Sprintf("10.77.1.%d", i+1), Port: hostPort, Base: "/root/s10",
		}
	}
	return list
}

// manyTargets are n names for one host, each with an address and a directory of its own.
func manyTargets(n int) []target {
	list := make([]target, n)
	for i := range list {
		name := fmt.Sprintf("m%05d", i+1)
		list[i] = target{
			Name: name, Address: fmt.Sprintf("10.77.%d.%d", 100+i/200, 1+i%200), Port: manyPort, Base: "/root/s10-" + name,
		}
	}
	return list
}

// steps are the numbers of hosts on the way to many.
func steps(many int) []int {
	var list []int
	for _, n := range []int{10, 50} {
		if n < many {
			list = append(list, n)
		}
	}
	return append(list, many)
}
