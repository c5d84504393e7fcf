// Package watch looks at what goes on at the servers, by their websockets and
// by polling beside them, and tells of problems: each once when it begins, when
// its words change, and when it is over.
//
// A problem has a key that stays the same from its beginning to its end, also
// across restarts. What cannot be found out is told as unknown; it never makes
// a problem end. While a server does not answer, nothing is concluded about its
// backups.
package watch
