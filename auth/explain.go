package auth

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// Explain puts an error of package duplicati or of the keyring into words for
// a reader: what happened, what was not done, what to do next. It returns nil
// for errors of others. server is the name it is called by, "" where there is
// none.
func Explain(err error, server string) *tools.Error {
	var own *tools.Error
	if errors.As(err, &own) {
		return own
	}
	var e *duplicati.Error
	if !errors.As(err, &e) {
		return explainKeyring(err)
	}
	if server == "" {
		server = "the server"
	}
	x := explained(e, server)
	x.Because(err)
	switch {
	case e.Uncertain:
		// Whoever asks again on his own might do it twice.
		x.Code, x.Retry = tools.UnknownOutcome, false
		x.Message += "; the request was sent and may have been carried out"
		x.Hint = "look at the server before you ask again"
	case e.Status == 0:
		x.Message += "; nothing was done"
	}
	return x
}

// explained is the part that depends on the kind alone.
func explained(e *duplicati.Error, server string) *tools.Error {
	switch e.Kind {
	case duplicati.NoAddress:
		return tools.Errorf(tools.Unavailable, "%s cannot be reached: %s", server, e.Text).
			WithHint("see its url in the configuration, and the name server of this host").Retryable()
	case duplicati.Refused:
		return tools.Errorf(tools.Unavailable, "%s cannot be reached: %s", server, e.Text).
			WithHint("see whether Duplicati runs there, on that port, and listens on more than its own host (--webservice-interface=any)").Retryable()
	case duplicati.TimedOut:
		return tools.Errorf(tools.Timeout, "%s does not answer: %s", server, e.Text).
			WithHint("see whether its host is up and no firewall is between").Retryable()
	case duplicati.Unreachable:
		return tools.Errorf(tools.Unavailable, "%s cannot be reached: %s", server, e.Text).WithHint("see the part that is ill: health").Retryable()
	case duplicati.Untrusted:
		return untrusted(e, server)
	case duplicati.NotTLS:
		return tools.Errorf(tools.Unavailable, "%s speaks http, and its url says https", server).
			WithHint("set its url to http://… if the way to it is safe, or turn HTTPS on in Duplicati")
	case duplicati.WantsTLS:
		return tools.Errorf(tools.Unavailable, "%s speaks https, and its url says http", server).WithHint("set its url to https://…")
	case duplicati.Canceled:
		return tools.Errorf(tools.Canceled, "the call to %s was given up", server).
			WithHint("ask again when you want it")
	case duplicati.NotDuplicati:
		x := tools.Errorf(tools.Unavailable, "what answers for %s is not Duplicati: %s", server, e.Text).
			WithHint("see its url in the configuration, and the proxy in front of it: the API must be reached without a login page or a redirect")
		if e.Status >= 502 { // a gateway whose server is away for now
			x.Retryable().WithHint("see whether Duplicati runs behind the proxy, then ask again")
		}
		return x
	case duplicati.Unreadable, duplicati.TooLarge:
		return tools.Errorf(tools.Unavailable, "the answer of %s could not be used: %s", server, e.Text).
			WithHint("see whether something between here and it changes answers, and which version it is: status")
	}
	return refused(e, server)
}

// untrusted tells a new certificate from one that was never known.
func untrusted(e *duplicati.Error, server string) *tools.Error {
	c := e.Certificate
	if c == nil {
		return tools.Errorf(tools.Unavailable, "no connection to %s can be trusted: %s", server, e.Text).
			WithHint("see whether it wants a certificate of its clients, or an old version of TLS")
	}
	if len(e.Pins) > 0 {
		x := tools.Errorf(tools.Unavailable, "the certificate of %s is not accepted: %s; pinned is %s, it presents %s (of %s, until %s)",
			server, e.Text, strings.Join(e.Pins, " or "), c.SHA256, said(c.Subject, 80), c.NotAfter.UTC().Format("2006-01-02"))
		return x.WithHint("if it was renewed, see on the server that it is the new one, then pin that: login --pin, or tls.pins in the configuration. If nobody renewed it, somebody may be in between")
	}
	return tools.Errorf(tools.Unavailable, "the certificate of %s is not accepted: %s; it presents %s (of %s, issued by %s, until %s)",
		server, e.Text, c.SHA256, said(c.Subject, 80), said(c.Issuer, 80), c.NotAfter.UTC().Format("2006-01-02")).
		WithHint("set tls.ca_file in the configuration to the authority that issued it, or see on the server that the fingerprint is right and pin it: login --pin").
		Asking("pin", c.SHA256, "see on the server that this is its fingerprint. Trust it from now on?")
}

// refused is what Duplicati itself, or this client, said no to.
func refused(e *duplicati.Error, server string) *tools.Error {
	words := said(e.Text, 300)
	switch e.Kind {
	case duplicati.HostnameRefused:
		return tools.Errorf(tools.Unavailable, "%s does not accept the host name in its url%s", server, saying(e)).
			WithHint("add the name to Duplicati's setting allowed-hostnames (--webservice-allowed-hostnames=NAME) and restart it, or put its IP address into the url")
	case duplicati.NotAuthorized:
		return tools.Errorf(tools.NotLoggedIn, "the bot is not logged in to %s: %s; nothing was done", server, words).WithHint("log in at a terminal: duplibot login")
	case duplicati.LoginFailed:
		return tools.Errorf(tools.NotLoggedIn, "%s did not accept the login; nothing was done", server).WithHint("log in at a terminal with the right password: duplibot login")
	case duplicati.SigninDisabled:
		return tools.Errorf(tools.NotLoggedIn, "%s takes no sign-in tokens; nothing was done", server).
			WithHint("give its password by a reference, or start it with --webservice-disable-signin-tokens=false")
	case duplicati.ForeverDisabled:
		return tools.Errorf(tools.Unsupported, "%s gives no forever tokens; none was made", server).
			WithHint("start it with --webservice-enable-forever-token")
	case duplicati.ForeverUsed:
		return tools.Errorf(tools.Conflict, "%s has given its one forever token since it was started; none was made", server).
			WithHint("restart it to have another one")
	case duplicati.NotFound:
		return tools.Errorf(tools.NotFound, "%s does not have it%s; nothing was done", server, saying(e)).
			WithHint("see what it has: list-backups")
	case duplicati.Conflict:
		return tools.Errorf(tools.Conflict, "%s refused, since something else stands against it: %q; nothing was done", server, words).
			WithHint("see what runs and what is set up there: status, list-backups")
	case duplicati.DatabaseLocked:
		return tools.Errorf(tools.Busy, "another operation uses this backup's database on %s; nothing was done", server).WithHint("ask again when it is over").Retryable()
	case duplicati.Busy:
		return tools.Errorf(tools.Busy, "the backup runs on %s at the moment%s; nothing was done", server, task(e)).WithHint("ask again when it is over, or stop it first").Retryable()
	case duplicati.Unstoppable:
		return tools.Errorf(tools.Busy, "%s could not stop the backup that runs%s; nothing was done", server, task(e)).WithHint("ask again when it is over").Retryable()
	case duplicati.WrongPassphrase:
		return tools.Errorf(tools.WrongPassphrase, "the passphrase is not the right one; nothing was done").WithHint("give the one that the file was encrypted with")
	case duplicati.PassphraseGone:
		return tools.Errorf(tools.SecretNeeded, "a passphrase is needed and was not given; nothing was done").
			WithHint("give the passphrase that the file was encrypted with")
	case duplicati.Unsupported:
		if e.Status != 0 {
			return tools.Errorf(tools.Unsupported, "%s cannot do this: %s", server, words).WithHint("see which version it is: status")
		}
		return tools.Errorf(tools.Unsupported, "%s: %s", server, words).
			WithHint("see which version it is: status")
	case duplicati.Harmful:
		return tools.Errorf(tools.Conflict, "this would do harm on %s, so it was not sent: %s", server, words).
			WithHint("see what runs there, and ask again when it is over: status")
	case duplicati.Misused:
		return tools.Errorf(tools.InvalidArgument, "%s: %s", server, words).
			WithHint("change what was asked for and ask again")
	case duplicati.Invalid:
		return tools.Errorf(tools.InvalidArgument, "%s refused%s; nothing was done", server, saying(e)).
			WithHint("change what was asked for and ask again")
	}
	return tools.Errorf(tools.OperationFailed, "%s failed%s", server, saying(e)).WithHint("see its log, under System at the server")
}

// saying is what the server said of it, marked as its words, or what the client
// saw.
func saying(e *duplicati.Error) string {
	words := said(e.Text, 300)
	switch {
	case words == "":
		return " without a word"
	case e.Quote:
		return fmt.Sprintf(": Duplicati says %q", words)
	}
	return ": " + words
}

func task(e *duplicati.Error) string {
	if e.Task == 0 {
		return ""
	}
	return fmt.Sprintf(" (task %d)", e.Task)
}

// said makes words that somebody else chose fit for one of our sentences: one
// line, nothing invisible, cut.
func said(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

// explainKeyring puts an error of a keyring into words, and returns nil for
// others. What a keyring's error says behind a semicolon is the way out.
func explainKeyring(err error) *tools.Error {
	for _, k := range []struct {
		is    error
		code  tools.Code
		retry bool
	}{
		{keyring.ErrLocked, tools.Unavailable, true},
		{keyring.ErrTimeout, tools.Timeout, true},
		{keyring.ErrUnavailable, tools.Unavailable, false},
		{keyring.ErrCorrupt, tools.Unavailable, false},
		{keyring.ErrTooLarge, tools.InvalidArgument, false},
		{keyring.ErrNotFound, tools.NotFound, false},
	} {
		if !errors.Is(err, k.is) {
			continue
		}
		what, hint, _ := strings.Cut(err.Error(), "; ")
		e := tools.Errorf(k.code, "%s; nothing was done", what).Because(err)
		e.Hint, e.Retry = hint, k.retry
		return e
	}
	return nil
}
