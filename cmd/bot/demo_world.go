package main

import (
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// furnish fills a simulated server with what a small office has: a backup
// that succeeds, one that warns, one that fails, one that is overdue, and one
// large enough to watch.
func furnish(s *duplicatitest.Server) {
	days := func(n float64) time.Duration { return time.Duration(n * 24 * float64(time.Hour)) }
	s.AddBackup(duplicatitest.Backup{
		Name: "Photos", TargetURL: "s3://family-photos/nas?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/photos/"}, Settings: []string{"keep-versions=30"},
		Every:    "1D",
		Runs:     []duplicatitest.Run{{Ago: days(3)}, {Ago: days(2)}, {Ago: days(1)}, {Ago: 6 * time.Hour}},
		Outcomes: []duplicatitest.Outcome{{Result: duplicatitest.Succeeds, Takes: 4 * time.Second}},
	})
	s.AddBackup(duplicatitest.Backup{
		Name: "Mail archive", TargetURL: "ssh://backup.example.net/mail?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/mail/"}, Settings: []string{"retention-policy=1W:1D,4W:1W"},
		Every:    "1D",
		Runs:     []duplicatitest.Run{{Ago: days(2)}, {Ago: days(1), Outcome: duplicatitest.Outcome{Result: duplicatitest.Warns}}},
		Outcomes: []duplicatitest.Outcome{{Result: duplicatitest.Warns, Takes: 3 * time.Second}},
	})
	s.AddBackup(duplicatitest.Backup{
		Name: "Accounting", TargetURL: "webdavs://cloud.example.org/accounting?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/accounting/"},
		Every:    "1D",
		Runs:     []duplicatitest.Run{{Ago: days(5)}, {Ago: days(1), Outcome: duplicatitest.Outcome{Result: duplicatitest.Fails}}},
		Outcomes: []duplicatitest.Outcome{{Result: duplicatitest.Fails, Takes: 2 * time.Second}},
	})
	s.AddBackup(duplicatitest.Backup{
		Name: "Virtual machines", TargetURL: "b2://demo-vms/images?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/vms/"},
		Every:    "1W",
		Runs:     []duplicatitest.Run{{Ago: days(9)}},
		Outcomes: []duplicatitest.Outcome{{Result: duplicatitest.Succeeds, Takes: 12 * time.Second}},
	})
	s.AddBackup(duplicatitest.Backup{
		Name: "Laptop (new)", TargetURL: "file:///mnt/usb/laptop",
		Passphrase: "demo passphrase", Sources: []string{"/home/demo/"},
	})
}
