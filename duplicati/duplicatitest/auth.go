package duplicatitest

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// identity is who a request comes from.
type identity struct {
	known bool
	id    string
}

// family is a row of TokenFamily.
type family struct {
	id, user string
	counter  int64
	updated  time.Time
}

// authenticate looks at the credentials of any request. denied is the
// WWW-Authenticate header should the endpoint want more; broken is the lookup
// of a family that is gone, which ends every request in an empty 500.
func (s *Server) authenticate(c *call) (who identity, denied string, broken bool) {
	header := strings.Join(c.r.Header.Values("Authorization"), ",")
	token := ""
	switch {
	case len(header) >= 7 && strings.EqualFold(header[:7], "Bearer "):
		token = strings.TrimSpace(header[7:])
	case s.gen.nonce && strings.HasPrefix(header, "PreAuth "):
		if slices.Contains(s.opts.PreAuthTokens, header[len("PreAuth "):]) {
			return identity{true, "pre-auth"}, "", false
		}
	case header == "" && c.query.has("token"):
		if s.gen.nonce && slices.Contains(s.opts.PreAuthTokens, c.query.text("token")) {
			return identity{true, "pre-auth"}, "", false
		}
		if strings.EqualFold(strings.TrimSuffix(c.r.URL.Path, "/"), "/notifications") {
			token = c.query.text("token")
		}
	}
	if token == "" {
		return identity{}, "Bearer", false
	}
	claims, err := s.db.jwt.verify(token, s.at)
	var bad *tokenError
	if errors.As(err, &bad) {
		denied = `Bearer error="invalid_token"`
		if bad.description != "" {
			denied += `, error_description="` + bad.description + `"`
		}
		return identity{}, denied, false
	}
	if claims.typ != "AccessToken" || claims.sid == "" || claims.fam == "" {
		return identity{}, `Bearer error="invalid_token"`, false
	}
	if claims.fam != temporary && s.db.families[claims.fam] == nil {
		return identity{}, "", true
	}
	return identity{true, claims.sid}, "", false
}

func authRoutes(rs *routes, g *generation) {
	const at = "/api/v1/auth/"
	rs.add("POST", at+"login", anyone, jsonBody, try((*Server).login))
	rs.add("POST", at+"signin", anyone, jsonBody, try((*Server).signin))
	rs.add("POST", at+"refresh", anyone, optionalBody, try((*Server).refresh))
	rs.add("POST", at+"refresh/logout", anyone, optionalBody, (*Server).logout)
	rs.add("POST", at+"issuesignintoken", anyone, jsonBody, try((*Server).issueSignin))
	rs.add("POST", at+"issuetoken/{operation}", bearer, noBody, try((*Server).issueOperation))
	rs.add("POST", at+"issue-forever-token", bearer, noBody, try((*Server).issueForever))
	if g.nonce {
		rs.add("POST", at+"status", anyone, noBody, (*Server).authStatus)
	}
}

func (s *Server) login(c *call) error {
	in := readObject(c.body)
	password, remember := in.str("Password"), in.isTrue("RememberMe", true)
	if err := in.err(); err != nil {
		return err
	}
	if !s.db.password.matches(password) {
		s.logPasswordFailure()
		return failf(http.StatusUnauthorized, "Failed to log in")
	}
	s.openSession(c, "webserver", remember)
	return nil
}

func (s *Server) signin(c *call) error {
	in := readObject(c.body)
	token, remember := in.str("SigninToken"), in.isTrue("RememberMe", true)
	if err := in.err(); err != nil {
		return err
	}
	if s.signinDisabled() {
		return failf(http.StatusUnauthorized, "Signin tokens are disabled")
	}
	claims, err := s.db.jwt.verify(token, s.at)
	switch {
	case errors.Is(err, errExpired):
		return failf(http.StatusUnauthorized, "Signin token expired")
	case err != nil || claims.typ != "SigninToken" || claims.sid == "":
		return failf(http.StatusUnauthorized, "Failed to sign in")
	}
	s.openSession(c, claims.sid, remember)
	return nil
}

func (s *Server) signinDisabled() bool {
	v := s.db.settings.value("disable-signin-tokens")
	return v != "" && isOn(v)
}

// openSession makes a family and answers with its first tokens.
func (s *Server) openSession(c *call, user string, remember bool) {
	if !remember && !s.gen.nonce {
		s.tokenReply(c, s.accessToken(user, temporary, s.db.jwt.access), "")
		return
	}
	f := &family{id: newFamilyID(), user: user, counter: randomCounter(), updated: s.at}
	s.db.families[f.id] = f
	s.giveTokens(c, f, !remember)
}

// giveTokens answers with the tokens of a family as it stands.
func (s *Server) giveTokens(c *call, f *family, short bool) {
	life := s.db.jwt.refresh
	if short {
		life = s.db.jwt.short
	}
	claim := claims{
		typ: "RefreshToken", sid: f.user, fam: f.id, cnt: strconv.FormatInt(f.counter, 10),
		iat: iat(s.at, s.gen), nbf: s.at, exp: s.at.Add(life),
	}
	nonce := ""
	if s.gen.nonce {
		nonce = randomText(32)
		claim.nce = hashNonce(nonce)
	}
	c.setCookie(s.db.jwt.sign(claim), s.at.Add(s.db.jwt.refresh), c.r.TLS != nil)
	s.tokenReply(c, s.accessToken(f.user, f.id, s.db.jwt.access), nonce)
}

func (s *Server) accessToken(user, fam string, life time.Duration) string {
	return s.db.jwt.sign(claims{typ: "AccessToken", sid: user, fam: fam, nbf: s.at, exp: s.at.Add(life)})
}

func (s *Server) tokenReply(c *call, access, nonce string) {
	o := object{{"AccessToken", access}}
	if s.gen.nonce {
		var v any
		if nonce != "" {
			v = nonce
		}
		o = o.with("RefreshNonce", v)
	}
	c.json(o)
}

var errRefresh = failf(http.StatusUnauthorized, "Failed to refresh token")

func (s *Server) refresh(c *call) error {
	nonce, err := nonceOf(c)
	if err != nil {
		return err
	}
	cookie, ok := s.refreshCookie(c)
	if !ok {
		return failf(http.StatusUnauthorized, "Authorization failed due to missing cookie.")
	}
	claims, f := s.checkRefresh(cookie, nonce)
	if f == nil {
		return errRefresh
	}
	behind, err := count(claims.cnt)
	grace := int64(0)
	if s.at.Sub(f.updated) <= graceWindow {
		grace = graceCount
	}
	if diff := f.counter - behind; err != nil || diff < 0 || diff > grace {
		delete(s.db.families, f.id)
		return errRefresh
	}
	f.counter++
	f.updated = s.at
	s.giveTokens(c, f, s.gen.nonce && claims.exp.Sub(claims.nbf) <= shortAtMost)
	return nil
}

// checkRefresh finds the family of a refresh token whose nonce fits; nil when
// anything is wrong with it. The counter is not looked at.
func (s *Server) checkRefresh(token, nonce string) (claims, *family) {
	claims, err := s.db.jwt.verify(token, s.at)
	if err != nil || claims.typ != "RefreshToken" {
		return claims, nil
	}
	if s.gen.nonce && claims.nce != "" && hashNonce(nonce) != claims.nce {
		return claims, nil
	}
	return claims, s.db.families[claims.fam]
}

// refreshCookie is the cookie of the Host's port; of several the last counts.
func (s *Server) refreshCookie(c *call) (value string, ok bool) {
	name := "RefreshToken_" + strconv.Itoa(c.port)
	for _, line := range c.r.Header.Values("Cookie") {
		for _, part := range strings.Split(line, ";") {
			if k, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(k, name) {
				value = unescape(v)
			}
		}
	}
	return value, value != ""
}

func nonceOf(c *call) (string, error) {
	if c.body.isNull() {
		return "", nil
	}
	in := readObject(c.body)
	nonce := in.str("Nonce")
	return nonce, in.err()
}

// logout says success whatever happens; only the right nonce ends the session.
func (s *Server) logout(c *call) {
	nonce, err := nonceOf(c)
	if err != nil {
		c.fail(s.gen, err)
		return
	}
	if cookie, ok := s.refreshCookie(c); ok {
		if _, f := s.checkRefresh(cookie, nonce); f != nil {
			delete(s.db.families, f.id)
		}
	}
	c.clearCookie(s.gen.clearingPath)
	c.json(object{{"success", true}})
}

func (s *Server) issueSignin(c *call) error {
	in := readObject(c.body)
	password := in.str("Password")
	if err := in.err(); err != nil {
		return err
	}
	if s.signinDisabled() {
		return failf(http.StatusUnauthorized, "Signin tokens are disabled")
	}
	if !s.db.password.matches(password) {
		return failf(http.StatusUnauthorized, "Incorrect password")
	}
	token := s.db.jwt.sign(claims{typ: "SigninToken", sid: "web-api", nbf: s.at, exp: s.at.Add(s.db.jwt.signin)})
	c.json(object{{"Token", token}})
	return nil
}

func (s *Server) issueOperation(c *call) error {
	op := c.values["operation"]
	if op != "export" && op != "bugreport" && !(op == "websocket" && s.gen.nonce) {
		return failf(http.StatusBadRequest, "Invalid operation")
	}
	c.json(object{{"Token", s.operationToken(op)}})
	return nil
}

func (s *Server) operationToken(op string) string {
	return s.db.jwt.sign(claims{typ: "SingleOperationToken", sid: "web-api", sop: op, nbf: s.at, exp: s.at.Add(s.db.jwt.operation)})
}

// checkOperation checks the ?token= of an endpoint that takes one instead of a
// bearer token.
func (s *Server) checkOperation(c *call, op string) error {
	if !c.query.has("token") {
		return errBind
	}
	claims, err := s.db.jwt.verify(c.query.text("token"), s.at)
	if err != nil || claims.typ != "SingleOperationToken" {
		return &crash{"Microsoft.IdentityModel.Tokens.SecurityTokenMalformedException", "IDX12741: JWT must have three segments (JWS) or five segments (JWE)."}
	}
	if claims.sop != op {
		return failf(http.StatusUnauthorized, "Invalid operation")
	}
	return nil
}

func (s *Server) issueForever(c *call) error {
	if !s.opts.ForeverTokens {
		return failf(http.StatusUnauthorized, "Forever tokens are not enabled")
	}
	if s.run.foreverIssued {
		return failf(http.StatusUnauthorized, "Cannot generate multiple forever tokens, restart the server to generate a new one")
	}
	s.run.foreverIssued = true
	s.tokenReply(c, s.accessToken("forever-token", temporary, s.at.AddDate(foreverYears, 0, 0).Sub(s.at)), "")
	return nil
}

func (s *Server) authStatus(c *call) {
	if !c.user.known {
		c.json(object{{"authorized", false}, {"message", "Not authorized"}})
		return
	}
	c.json(object{{"authorized", true}, {"message", "Authorized"}, {"socketToken", s.operationToken("websocket")}})
}
