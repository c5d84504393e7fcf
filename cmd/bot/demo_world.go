package main

import (
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// furnish fills a simulated server with what a small office has: a backup
// that succeeds, one that warns, one that fails, one that is overdue, and one
// that never ran.
func furnish(s *duplicatitest.Server) {
	now := s.Clock().Now()
	hours := func(n float64) time.Duration { return time.Duration(n * float64(time.Hour)) }
	ran := func(folder string, files int, outcome duplicatitest.Outcome, ago ...float64) (runs []duplicatitest.Run) {
		s.Disk().Write(folder, files, 3<<20)
		for _, h := range ago {
			runs = append(runs, duplicatitest.Run{Ago: hours(h)})
		}
		runs[len(runs)-1].Outcome = outcome
		return runs
	}
	s.AddBackup(duplicatitest.Backup{
		Name: "Photos", TargetURL: "s3://family-photos/nas?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/photos/"}, Settings: []string{"keep-versions=30"},
		Every: "1D", Next: now.Add(hours(18)),
		Runs:     ran("/volume1/photos/", 812, duplicatitest.Outcome{Takes: 95 * time.Second}, 6),
		Outcomes: []duplicatitest.Outcome{{Result: duplicatitest.Succeeds, Takes: 4 * time.Second}},
	})
	s.Disk().Write("/volume1/photos/", 831, 3<<20) // since its last run
	warns := duplicatitest.Outcome{Result: duplicatitest.Warns, Message: "Failed to process path /volume1/mail/inbox.lock: the file is in use", Takes: 3 * time.Second}
	s.AddBackup(duplicatitest.Backup{
		Name: "Mail archive", TargetURL: "ssh://backup.example.net/mail?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/mail/"}, Settings: []string{"retention-policy=1W:1D,4W:1W"},
		Every: "1D", Next: now.Add(hours(5)),
		Runs:     ran("/volume1/mail/", 240, warns, 19),
		Outcomes: []duplicatitest.Outcome{warns},
	})
	fails := duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "The remote server returned an error: (507) Insufficient Storage.", Takes: 2 * time.Second}
	s.AddBackup(duplicatitest.Backup{
		Name: "Accounting", TargetURL: "webdavs://cloud.example.org/accounting?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/accounting/"},
		Every: "1D", Next: now.Add(hours(2)),
		Runs:     ran("/volume1/accounting/", 64, fails, 118, 22),
		Outcomes: []duplicatitest.Outcome{fails},
	})
	s.AddBackup(duplicatitest.Backup{
		Name: "Virtual machines", TargetURL: "b2://demo-vms/images?auth-username=demo&auth-password=demo-secret",
		Passphrase: "demo passphrase", Sources: []string{"/volume1/vms/"},
		Every: "1W", Next: now.Add(-hours(48)),
		Runs:     ran("/volume1/vms/", 40, duplicatitest.Outcome{}, 216),
		Outcomes: []duplicatitest.Outcome{{Result: duplicatitest.Succeeds, Takes: 12 * time.Second}},
	})
	s.Disk().Write("/volume1/vms/", 40, 64<<20)
	s.Disk().Write("/home/demo/", 300, 1<<20)
	s.AddBackup(duplicatitest.Backup{
		Name: "Laptop (new)", TargetURL: "file:///mnt/usb/laptop",
		Passphrase: "demo passphrase", Sources: []string{"/home/demo/"},
	})
}
