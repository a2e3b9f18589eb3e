package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// delayReady is what the delaying process prints once packets flow.
const delayReady = "ready"

// delay is the delaying process: it joins both namespaces by a pair of TUN devices and hands each
// packet on after half the round trip, until ctx ends.
func delay(ctx context.Context, rtt time.Duration, stdout io.Writer) error {
	a, err := openTUN(nsController)
	if err != nil {
		return err
	}
	b, err := openTUN(nsHosts)
	if err != nil {
		return err
	}
	failed := make(chan error, 4)
	hold(a, b, rtt/2, failed)
	hold(b, a, rtt/2, failed)
	if _, err := fmt.Fprintln(stdout, delayReady); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// openTUN makes the device in a namespace. Large segments pass it in one piece.
func openTUN(ns string) (int, error) {
	type made struct {
		fd  int
		err error
	}
	c := make(chan made)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread has moved and ends here
		fd, err := func() (int, error) {
			if err := setNamespace(ns); err != nil {
				return -1, err
			}
			fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				return -1, fmt.Errorf("opening /dev/net/tun: %w", err)
			}
			req, err := unix.NewIfreq(delayDevice)
			if err != nil {
				return -1, err
			}
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
			if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
				return -1, fmt.Errorf("making a TUN device: %w", err)
			}
			const offload = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
			if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offload); err != nil {
				return -1, fmt.Errorf("setting up a TUN device: %w", err)
			}
			return fd, nil
		}()
		c <- made{fd, err}
	}()
	m := <-c
	return m.fd, m.err
}

// packet is one packet and when it is due, on the monotonic clock.
type packet struct {
	due  time.Time
	data []byte
}

// hold hands packets from one device to the other, each after the time given. Both goroutines live
// as long as the process.
func hold(from, to int, d time.Duration, failed chan<- error) {
	queue := make(chan packet, 1<<16)
	go func() {
		urgent()
		for p := range queue {
			sleepUntil(p.due)
			// A packet that is refused is a lost packet.
			_, _ = unix.Write(to, p.data)
		}
	}()
	go func() {
		urgent()
		buffer := make([]byte, 70_000)
		for {
			n, err := unix.Read(from, buffer)
			switch {
			case errors.Is(err, unix.EINTR):
			case err != nil:
				failed <- fmt.Errorf("reading from a TUN device: %w", err)
				return
			default:
				queue <- packet{time.Now().Add(d), append([]byte(nil), buffer[:n]...)}
			}
		}
	}()
}

// urgent gives the goroutine a thread of its own that goes before all ordinary ones, so that the
// distance does not grow when the machine is busy.
func urgent() {
	runtime.LockOSThread()
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 50}
	_ = unix.SchedSetAttr(0, attr, 0) // without it, the delay is only less even
}

// sleepUntil sleeps in the kernel: the runtime's own timers round up when the process is idle.
func sleepUntil(t time.Time) {
	for {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		ts := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&ts, nil) // cut short by a signal, it is tried again
	}
}

// setRTT puts the controller that far from the hosts.
func (l *lab) setRTT(ctx context.Context, rtt time.Duration) error {
	if l.delayer != nil {
		_ = l.delayer.Process.Kill()
		_ = l.delayer.Wait() // killed
		l.delayer = nil
	}
	if rtt == 0 {
		return route(ctx, vethController, vethHosts)
	}
	cmd := exec.Command(l.self, "delay", rtt.String()) //nolint:gosec,noctx // this program; setRTT and down end it
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := l.hosts.start(cmd); err != nil {
		return fmt.Errorf("starting the delaying process: %w", err)
	}
	l.delayer = cmd
	if err := l.link.join(cmd.Process.Pid); err != nil {
		return err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("waiting for the delaying process, which said %q: %w", line, err)
	}
	err = ip(ctx, fmt.Sprintf("-n %[1]s link set %[3]s up txqueuelen 10000\n-n %[2]s link set %[3]s up txqueuelen 10000\n",
		nsController, nsHosts, delayDevice))
	if err != nil {
		return err
	}
	return route(ctx, delayDevice, delayDevice)
}
