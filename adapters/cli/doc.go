// Package cli is the terminal: every operation of the registry as a
// subcommand with ServerUtil's names and options, and the commands by which
// people decide what waits for them.
//
// # Rules of the terminal
//
//   - Answers go to stdout. Questions, progress, notes and errors go to
//     stderr, errors as "duplibot: error:" and "duplibot: hint:" lines, so that
//     a script can tell them apart.
//   - With --json, stdout is one object whatever happens, with the keys that
//     ServerUtil's has (Timestamp, Command, Success, ExitCode, Messages,
//     Exceptions) and ours beside them (Status, Result, Approval, Error).
//   - Words of a server are data: control characters and escape sequences are
//     taken out, and directions of writing with them.
//   - Colour is for terminals, never the only sign, and off with NO_COLOR.
//   - What is not a terminal is never asked anything. Without --yes a question
//     ends with exit code 5 and the request is left to be decided.
//   - A secret is typed without echo, referred to, generated or read from a
//     file, and never an argument: other accounts can read those.
//   - A file that comes out is there whole, with mode 0600, or not at all.
//
// # Exit codes
//
//	0    done, with ServerUtil's meaning of success
//	1    the command line was not understood, something failed inside, or
//	     health found the server ill
//	2    an error was reported, or a run that was waited for ended with warnings
//	3    it ended with errors
//	4    it ended fatally
//	5    a person has to agree first
//	130  interrupted
package cli
