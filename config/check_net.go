package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// schemes says when an address may be http.
type schemes int

const (
	anyHTTP      schemes = iota // http and https
	loopbackHTTP                // https, or http of this host
	onlyLoopback                // either, of this host
)

// checkURL says what is wrong with an address, "" when nothing is. It does
// not repeat it: an address can hold a password.
func checkURL(text string, allowed schemes) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "this is not an address such as https://nas.lan:8200"
	case u.User != nil:
		return "an address must not hold a user or a password"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return "an address must end before any ? or #"
	case !validPort(u.Port(), strings.HasSuffix(u.Host, ":")):
		return "the port must be a number from 1 to 65535"
	case strings.Contains(u.Path, "//") || strings.Contains("/"+u.Path+"/", "/../"):
		return "the path in the address must be plain"
	case allowed == onlyLoopback && !isLoopback(u.Hostname()):
		return "this must be an address of this host, such as http://127.0.0.1:8080"
	case allowed == loopbackHTTP && u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "this must be https, unless it is an address of this host"
	}
	return ""
}

func validPort(port string, colon bool) bool {
	if port == "" {
		return !colon
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

// isLoopback reports whether host is this one by its name or number alone.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// serverURL checks and normalises the address of a Duplicati server and
// reports whether it is this host's.
func (k *checker) serverURL(key string, s *Server) (local bool) {
	if wrong := checkURL(s.URL, anyHTTP); wrong != "" {
		k.bad(key, "", "%s", wrong)
		return false
	}
	s.URL = strings.TrimRight(s.URL, "/")
	u, err := url.Parse(s.URL)
	if err != nil {
		return false
	}
	local = isLoopback(u.Hostname())
	if u.Scheme == "http" && !local {
		k.warn(key, "use https, or a tunnel that ends on this host", "the password and all that is done go over the network in clear")
	}
	return local
}

// listen checks an address to listen at, and that what listens for others
// than this host is not in clear.
func (k *checker) listen(key, listen, public string, tls ListenTLS, plaintext bool) {
	if public != "" {
		if wrong := checkURL(public, loopbackHTTP); wrong != "" {
			k.bad(key+".url", "", "%s", wrong)
		}
	}
	k.path(key+".tls.cert_file", tls.CertFile)
	k.path(key+".tls.key_file", tls.KeyFile)
	if (tls.CertFile == "") != (tls.KeyFile == "") {
		k.bad(key+".tls", "", "cert_file and key_file go together")
	}
	if listen == "" {
		k.bad(key, "listen: 127.0.0.1:8484", "it does not say where to listen")
		return
	}
	host, port, err := net.SplitHostPort(listen)
	n, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || n < 0 || n > 65535 {
		k.bad(key+".listen", "", "an address to listen at is HOST:PORT, such as 127.0.0.1:8484")
		return
	}
	if isLoopback(host) || tls.CertFile != "" || strings.HasPrefix(public, "https:") || plaintext {
		return
	}
	k.bad(key+".listen", "listen at 127.0.0.1, give tls, or the https url of a proxy in front", "others could read what is sent here in clear")
}

func (k *checker) mcp() {
	m := &k.c.MCP
	if !k.given("mcp.toolsets") {
		m.Toolsets = []string{"core"}
	}
	k.wordList("mcp.toolsets", m.Toolsets, toolsets)
	if m.HTTP == nil {
		return
	}
	k.listen("mcp.http", m.HTTP.Listen, m.HTTP.URL, m.HTTP.TLS, m.HTTP.Plaintext)
	if m.HTTP.Plaintext {
		k.warn("mcp.http.plaintext_on_the_network", "give tls, or the https url of a proxy in front", "tokens of assistants go over the network in clear")
	}
	if o := m.HTTP.OAuth; o != nil {
		if wrong := checkURL(o.Issuer, loopbackHTTP); wrong != "" {
			k.bad("mcp.http.oauth.issuer", "", "%s", wrong)
		}
		if o.Audience == "" {
			k.bad("mcp.http.oauth", "audience: the address that tokens are made for", "without an audience, tokens made for others would be accepted")
		}
	}
}

func (k *checker) web() {
	if w := k.c.Web; w != nil {
		k.listen("web", w.Listen, w.URL, w.TLS, false)
	}
}

var channelForm = newForm(`^[CG][A-Z0-9]{2,20}$`)

var severities = []string{"error", "warning", "notice", "unknown", "other"}

func (k *checker) slack() {
	s := k.c.Slack
	if s == nil {
		return
	}
	if s.Mode == "" {
		s.Mode = "socket"
	}
	k.word("slack.mode", s.Mode, []string{"socket", "http"})
	need := func(key, why string, zero bool) {
		if zero && !k.given("slack."+key) {
			k.bad("slack", key+": env:NAME, or another reference", "%s %s", key, why)
		}
	}
	need("bot_token", "is needed", s.BotToken.IsZero())
	need("app_token", "is needed for mode socket", s.Mode == "socket" && s.AppToken.IsZero())
	need("signing_secret", "is needed for mode http", s.Mode == "http" && s.SigningSecret.IsZero())
	k.ownItem("slack.bot_token", s.BotToken)
	k.ownItem("slack.app_token", s.AppToken)
	k.ownItem("slack.signing_secret", s.SigningSecret)
	if s.Mode == "http" && k.c.Web == nil {
		k.bad("slack.mode", "set web.listen", "mode http listens where web does, and there is no web")
	}
	k.channel("slack.approvals_channel", s.ApprovalsChannel)
	for _, ch := range s.Channels {
		key := join("slack.channels", ch.ID)
		k.channel(key, ch.ID)
		if ch.Server != "" {
			k.serverName(key+".server", ch.Server)
		}
	}
	for severity, channel := range s.Alerts.Channels {
		key := join("slack.alerts.channels", severity)
		k.word(key, severity, severities)
		k.channel(key, channel)
	}
	if d := s.Alerts.Digest; d != "" && !clockForm.MatchString(d) {
		k.bad("slack.alerts.digest", "", `this must be a time of day such as "08:00"`)
	}
	if s.APIURL != "" {
		if wrong := checkURL(s.APIURL, onlyLoopback); wrong != "" {
			k.bad("slack.api_url", "", "%s", wrong)
		}
	}
}

func (k *checker) channel(key, id string) {
	if id != "" && !channelForm.MatchString(id) {
		k.bad(key, "in Slack: the channel's name, About, at the bottom", "a channel is given by its ID, such as C0123ABCD, not by its name")
	}
}
