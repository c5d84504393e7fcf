// Bench measures the program itself, as somebody finds it who has just built
// it: its size, how fast it starts, what it holds in memory, what a command at
// a terminal and a tool call of an assistant cost beside a bare program and a
// bare request, in the same run on the same machine.
//
//	go run ./bench            # prints a table
//	go run ./bench -check     # and fails when a goal is missed
//
// Memory is measured on Linux alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	rounds := flag.Int("rounds", 40, "how often each thing is measured")
	binary := flag.String("binary", "", "measure this program and build none")
	check := flag.Bool("check", false, "fail when a goal is missed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	missed, err := run(ctx, *binary, *rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if *check && missed > 0 {
		os.Exit(1)
	}
}

// run measures everything and prints it; missed counts the goals that were.
func run(ctx context.Context, binary string, rounds int) (missed int, err error) {
	s, err := newStage(ctx, binary)
	if err != nil {
		return 0, err
	}
	defer s.close()
	var t table
	for _, measure := range []func(context.Context, *stage, int, *table) error{size, start, terminal, calls} {
		if err := measure(ctx, s, rounds, &t); err != nil {
			return 0, err
		}
	}
	t.print(os.Stdout)
	return t.missed(), nil
}
