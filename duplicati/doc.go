// Package duplicati is a typed client of the HTTP API and the websocket of
// Duplicati servers, from 2.1 to the newest.
//
// New checks where a server is; With gives a client that authenticates. Calls
// return typed values cut down to named fields: what a server sends holds
// storage credentials and passphrases, and these leave this package as
// secret.Value or not at all. Texts that a server wrote (names, messages of
// errors) are untrusted: their URLs are cut, but they are not escaped for any
// surface.
//
// Every error that a call returns is an *Error, or what Tokens returned. Its
// Kind says what went wrong, and errors.Is(err, duplicati.NotFound) works.
//
// The client refuses what would do harm on the server it talks to: see
// Versions, Pause and Import.
package duplicati
