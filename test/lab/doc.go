// Package lab starts target hosts for the suites that need real ones: Debian 12 machines under
// systemd with sshd, each a container of the image that test/lab/image/build makes, or of another
// [Image]. A test asks for hosts with [Hosts] or [HostsOf] and reaches them over SSH as the product
// does; [Host.Exec] looks at a host from outside, past the connection under test.
//
// These suites run when JET_TEST=all is set, as test/run does. Without it a plain go test ./... says
// "[no tests to run]" for their packages ([Main] sees to that) and needs nothing but Go. With it, a
// missing container engine or image is a failure, never a skip.
//
// The environment: JET_LAB_KEEP=1 leaves hosts running when their test ends and logs how to reach
// them; JET_LAB_RUN labels the containers, so that test/run can remove what a killed test left.
package lab
