// Package web serves one-time pages, on which a person gives the bot a secret
// or a file, or reads one that came out of an operation. There is no other
// page and no dashboard.
//
// A page needs two things: its link, and a short code that reaches the person
// by another way than the link. To look at a page uses nothing up and shows no
// secret; posting its form does, once, however many post at once. After ten
// minutes, or five wrong codes, it is closed. Of link and code only hashes are
// stored. A page is bound to a request, to what is given or read there, and to
// a person; closing one destroys nothing that a server has issued.
//
// An assistant is given a link that holds the ID of a request and nothing
// else: who follows it is asked for the code.
package web
