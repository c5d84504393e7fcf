package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"time"
)

// What Duplicati's own client, ServerUtil, takes for the command status on
// such a machine: 300 ms and 58 MiB. The goals are a tenth of the one and well
// under half of the other.
const (
	terminalGoal = 30
	memoryGoal   = 26
)

// terminal measures the command status with a stored session, whole process,
// in turns with the bare program.
func terminal(ctx context.Context, s *stage, rounds int, t *table) error {
	status := func() *exec.Cmd { return s.command(ctx, "status") }
	bare := func() *exec.Cmd { return s.bareCommand(ctx) }
	var took, bareTook, most, bareMost series
	if _, err := s.server.requests(); err != nil {
		return err
	}
	for range rounds {
		for _, c := range []struct {
			command func() *exec.Cmd
			into    *series
		}{{status, &took}, {bare, &bareTook}} {
			began := time.Now()
			if out, err := c.command().CombinedOutput(); err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			*c.into = append(*c.into, millis(time.Since(began)))
		}
	}
	n, err := s.server.requests()
	if err != nil {
		return err
	}
	requests := series{float64(n-rounds) / float64(rounds)}
	t.add("status at a terminal", "ms", took, terminalGoal)
	t.beside("a bare program", "ms", bareTook)
	t.times("status to bare", took, bareTook)
	t.add("requests of it to the server", "", requests, 1)
	if runtime.GOOS != "linux" {
		return nil
	}
	for range rounds {
		for _, c := range []struct {
			command func() *exec.Cmd
			into    *series
		}{{status, &most}, {bare, &bareMost}} {
			m, err := peak(c.command())
			if err != nil {
				return err
			}
			*c.into = append(*c.into, m)
		}
	}
	t.add("memory of status at most", "MiB", most, memoryGoal)
	t.beside("a bare program", "MiB", bareMost)
	t.times("status to bare", most, bareMost)
	return nil
}

// peak runs a command and returns the most memory that it held. It looks again
// and again: the figure that the system keeps for the dead, ru_maxrss, counts
// what the parent held when it forked.
func peak(cmd *exec.Cmd) (mib float64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return mib, err
		default:
		}
		if m, err := memory(cmd.Process.Pid, "VmHWM"); err == nil {
			mib = max(mib, m)
		}
		time.Sleep(200 * time.Microsecond)
	}
}
