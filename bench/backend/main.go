// Backend is the simulated Duplicati server that everything is measured
// against, in a process of its own, as a real one is. It prints its address.
// For each line on its standard input it prints how many requests it had since
// the one before. It ends when its standard input does.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

func serve() error {
	s, err := duplicatitest.New(duplicatitest.Options{Password: os.Getenv("BACKEND_PASSWORD")})
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range 5 {
		s.AddBackup(duplicatitest.Backup{Name: "Backup " + strconv.Itoa(i), Every: "1D", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
	}
	if err := s.Listen(); err != nil {
		return err
	}
	fmt.Println(s.URL)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(s.Count("", "/"))
		s.ForgetRequests()
	}
	return lines.Err()
}
