// Package duplicatitest is a simulated Duplicati server, as strict and as odd
// as the real ones of four generations: what it answers to the requests in its
// testdata, which were recorded from real servers, is what those answered.
//
// Start lets one listen for the time of a test:
//
//	s := duplicatitest.Start(t, duplicatitest.Options{Password: "correct-password"})
//	id := s.AddBackup(duplicatitest.Backup{Name: "Photos"})
//	s.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Warns})
//	client := duplicati.New(s.URL, ...)
//
// Nothing comes from the fake that a client, or a test through this package's
// methods, has not put there. What lies outside a server is theirs to control:
// the Clock, the Disk with sources and destinations, the Outcome of runs,
// Restart, and Inject for what goes wrong on the way.
//
// The fake keeps its state in memory. WriteDatabase writes it as the file
// Duplicati-server.sqlite of its generation.
package duplicatitest
