package duplicatitest_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// Requests that no recording holds: what the framework and the rules imply.

func TestRequestsThatRoutingDecides(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{})
		c.login()
		for _, x := range []struct {
			ask, path string
			status    int
			allow     string
		}{
			{"GET", "/api/v1/backups/", 200, ""},
			{"GET", "/API/V1/Backups", 200, ""},
			{"GET", "/api/v1/./backups", 200, ""},
			{"GET", "/api/v1/auth/../backups", 200, ""},
			{"GET", "/api/v1/%62ackups", 200, ""},
			{"GET", "/api/v1//backups", 404, ""},
			{"GET", "//api/v1/backups", 404, ""},
			{"GET", "/api/v1/backups//", 404, ""},
			{"GET", "/api/v1", 404, ""},
			{"GET", "/api/v3/backups", 404, ""},
			{"GET", "/api/v1/backup/" + id + "%2Flog", 404, ""},
			{"HEAD", "/api/v1/backups", 405, "GET, POST"},
			{"OPTIONS", "/api/v1/backups", 405, "GET, POST"},
			{"PURGE", "/api/v1/backup/" + id, 405, "DELETE, GET, PUT"},
			{"GET", "/api/v1/auth/login", 405, "POST"},
			{"POST", "/api/v1/systeminfo", 405, "GET"},
			{"GET", "/api/v1/serverstate/pause", 405, "POST"},
			{"GET", "/notifications", 400, ""},
			{"HEAD", "/health", 200, ""},
		} {
			r := c.do(x.ask, x.path, "")
			if r.Status != x.status || r.Header.Get("Allow") != x.allow {
				t.Errorf("%s %s: %d %q, want %d %q", x.ask, x.path, r.Status, r.Header.Get("Allow"), x.status, x.allow)
			}
			if x.status >= 400 && r.Body != "" && x.path != "/api/v1/backup/"+id+"%2Flog" {
				t.Errorf("%s %s: body %q", x.ask, x.path, r.Body)
			}
		}
	})
}

func TestBodiesThatBindingRefuses(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		for _, x := range []struct {
			body, contentType string
			status            int
		}{
			{`{"Password":"correct-password"}`, "application/json", 200},
			{`{"password":"correct-password"}`, "application/json;charset=UTF-8", 200},
			{`{"PASSWORD":"x","Password":"correct-password","password":"correct-password"}`, "APPLICATION/JSON", 200},
			{`{"Password":"correct-password","Password":"x"}`, "application/json", 401},
			{`{"Password":"correct-password","RememberMe":null,"Extra":{"a":[1]}}`, "application/json", 200},
			{"\xef\xbb\xbf" + `{"Password":"correct-password"}`, "application/json", 200},
			{`{"Password":"correct-password"}`, "", 415},
			{`{not json`, "", 415},
			{`{"Password":"correct-password"}`, "text/plain", 415},
			{`{"Password":"correct-password"}`, "application/problem+json", 415},
			{`{"Password":"correct-password"}`, "text/json", 415},
			{`{"Password":"correct-password"}`, "application/json; charset=klingon", 500},
			{`{"Password":"correct-password","RememberMe":"true"}`, "application/json", 400},
			{`{"Password":"correct-password","RememberMe":1}`, "application/json", 400},
			{`{"Password":12}`, "application/json", 400},
			{`{"Password":null}`, "application/json", 401},
			{`{"Password":"correct-password",}`, "application/json", 400},
			{`{"Password":"correct-password"} x`, "application/json", 400},
			{`{'Password':'correct-password'}`, "application/json", 400},
			{`// comment` + "\n" + `{"Password":"correct-password"}`, "application/json", 400},
			{`"correct-password"`, "application/json", 400},
			{`["correct-password"]`, "application/json", 400},
			{`null`, "application/json", 400},
			{" ", "application/json", 400},
			{"{\"Password\":\"\xff\"}", "application/json", 400},
			{`{"Password":"\ud800"}`, "application/json", 400},
			{`{"Password":"\ud83d\ude00"}`, "application/json", 401},
			{`{"Password":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "application/json", 400},
		} {
			req := c.request("POST", "/api/v1/auth/login", x.body)
			req.Header.Del("Content-Type")
			if x.contentType != "" {
				req.Header.Set("Content-Type", x.contentType)
			}
			r := c.send(req)
			if r.Status != x.status || (x.status == 400 || x.status == 415) && r.Body != "" {
				t.Errorf("%q as %q: %d %q, want %d", x.body, x.contentType, r.Status, r.Body, x.status)
			}
		}
	})
}

func TestABodyOverThirtyMillionBytesIsTooLarge(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		body := `{"Password":"` + strings.Repeat("x", 30_000_000) + `"}`
		c.do("POST", "/api/v1/auth/login", body).want(t, 413, "")
	})
}

func TestChecksComeInTheServersOrder(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		session := c.login()
		evil := "evil.example:8200"
		c.token = ""
		c.do("GET", "/api/v1/backups", "", "Host", evil).want(t, 401, "")
		c.do("POST", "/api/v1/backups", "{", "Content-Type", "text/plain", "Host", evil).want(t, 415, "")
		c.do("POST", "/api/v1/backups", "{", "Host", evil).want(t, 401, "")
		c.do("GET", "/api/v1/no-such", "", "Host", evil).want(t, 404, "")
		c.do("DELETE", "/api/v1/backups", "", "Host", evil).want(t, 405, "")
		c.do("GET", "/health", "", "Host", evil).want(t, 200, "Healthy")
		c.do("POST", "/api/v1/auth/login", "{", "Host", evil).want(t, 400, "")
		c.do("POST", "/api/v1/auth/login", "", "Host", evil).want(t, 403, `{"Error":"Invalid hostname: evil.example","Code":403}`)
		c.token = session.AccessToken
		c.do("GET", "/api/v1/backups", "", "Host", evil).want(t, 403, `{"Error":"Invalid hostname: evil.example","Code":403}`)
		c.do("GET", "/api/v1/backups", "", "Host", "203.0.113.9").want(t, 200, "[]")
		c.do("GET", "/api/v1/backups", "", "Host", "[2001:db8::1]:8200").want(t, 200, "[]")
		c.do("GET", "/api/v1/backups", "", "Host", "LOCALHOST:1").want(t, 200, "[]")
	})
}

func TestAllowedHostNamesAreReadAtTheStart(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		c.login()
		c.do("PATCH", "/api/v1/serversettings", `{"allowed-hostnames":"nas.example;other.example"}`).want(t, 200, "")
		if r := c.do("GET", "/api/v1/backups", "", "Host", "nas.example"); r.Status != 403 {
			t.Errorf("before a restart: %d", r.Status)
		}
		c.Restart(duplicatitest.RestartOptions{})
		if r := c.do("GET", "/api/v1/backups", "", "Host", "NAS.example:99"); r.Status != 200 {
			t.Errorf("after it: %d", r.Status)
		}
	})
}

func TestQueriesBindAsInTheFramework(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{Runs: []duplicatitest.Run{{Ago: 1e9}}})
		c.login()
		for query, want := range map[string]int{
			"backup/" + id + "/log?pagesize=1":                       200,
			"backup/" + id + "/log?PAGESIZE=%2B5&Offset=%2099%20":    200,
			"backup/" + id + "/log?pagesize=":                        400,
			"backup/" + id + "/log?pagesize=1e2":                     400,
			"backup/" + id + "/log?pagesize=1&pagesize=2":            400,
			"backup/" + id + "/log?offset=99999999999999999999":      400,
			"backup/" + id + "/log?unknown=1":                        200,
			"backup/" + id + "/filesets?include-metadata=TRUE":       200,
			"backup/" + id + "/filesets?include-metadata=%20true%20": 200,
			"backup/" + id + "/filesets?include-metadata=yes":        400,
			"backup/" + id + "/filesets?include-metadata":            400,
			"task/0x2":                 400,
			"task/-1":                  404,
			"task/9223372036854775808": 400,
			"notification/1_0":         400,
			"logdata/poll?level=Error": 400,
			"logdata/poll?id=1":        400,
		} {
			if r := c.do("GET", "/api/v1/"+query, ""); r.Status != want || want == 400 && r.Body != "" {
				t.Errorf("%s: %d %q, want %d", query, r.Status, r.Body, want)
			}
		}
	})
}

func TestNumbersMayBeWrittenAsStrings(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		c.login()
		body := `{"Backup":{"name":"N","TARGETURL":"file:///x","Sources":["/x/"],"ConnectionStringID":"-1",
		"Settings":[{"Name":"passphrase","Value":"p"}],"Filters":[{"Order":"3","Include":true,"Expression":"*.tmp"}]}}`
		c.do("POST", "/api/v1/backups", body).want(t, 200, `{"ID":"1","Temporary":false}`)
		var got struct {
			Backup struct{ Filters []struct{ Order int64 } }
		}
		c.get("/api/v1/backup/1", &got)
		if len(got.Backup.Filters) != 1 || got.Backup.Filters[0].Order != 3 {
			t.Errorf("%+v", got)
		}
		c.do("POST", "/api/v1/backups", strings.Replace(body, `"3"`, `"3.5"`, 1)).want(t, 400, "")
	})
}

func TestTheBearerSchemeIsReadLenientlyAndOnlyOnce(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		s := c.login()
		c.token = ""
		for header, want := range map[string]string{
			"bearer " + s.AccessToken:  "",
			"BEARER  " + s.AccessToken: "",
			"Bearer":                   "Bearer",
			"Bearer ":                  "Bearer",
			"Basic dXNlcjpwYXNz":       "Bearer",
			"Bearer x.y.z":             `Bearer error="invalid_token"`,
			"Bearer " + s.AccessToken[:len(s.AccessToken)-2] + "AA": `Bearer error="invalid_token", error_description="The signature key was not found"`,
		} {
			r := c.do("GET", "/api/v1/serverstate", "", "Authorization", header)
			if (want == "") != (r.Status == 200) || r.Header.Get("WWW-Authenticate") != want {
				t.Errorf("%.20s: %d %q, want %q", header, r.Status, r.Header.Get("WWW-Authenticate"), want)
			}
		}
		if r := c.do("GET", "/api/v1/serverstate?access_token="+s.AccessToken+"&token="+s.AccessToken, ""); r.Status != 401 {
			t.Errorf("in the query: %d", r.Status)
		}
	})
}

func TestAnswersOnTheWireLookLikeKestrels(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for _, x := range []struct {
			request string
			want    map[string]string
			length  int64
		}{
			{"GET /health", map[string]string{"Server": "Kestrel", "Content-Type": "text/plain"}, -1},
			{"GET /api/v1/backups", map[string]string{"Server": "Kestrel", "Content-Type": "", "Www-Authenticate": "Bearer"}, 0},
			{"GET /api/v1/commandline", map[string]string{"Content-Type": "application/json; charset=utf-8"}, -1},
		} {
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\n\r\n", x.request)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if res.ContentLength != x.length || (x.length < 0) != (len(res.TransferEncoding) == 1) {
				t.Errorf("%s: length %d, transfer encoding %v", x.request, res.ContentLength, res.TransferEncoding)
			}
			for name, want := range x.want {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %s %q, want %q", x.request, name, got, want)
				}
			}
			var discard [1 << 12]byte
			for err == nil {
				_, err = res.Body.Read(discard[:])
			}
		}
	})
}

func TestV2FailuresAre200InAnEnvelope(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{})
		c.login()
		if strings.HasSuffix(t.Name(), "/2.1") {
			c.do("POST", "/api/v2/backup/list-filesets", `{"BackupId":"77"}`).want(t, 404, "")
			return
		}
		c.do("POST", "/api/v2/backup/list-filesets", `{"BackupId":"77"}`).want(t, 200, `{"Success":false,"Error":"Backup not found","StatusCode":"HTTP-404"}`)
		c.do("POST", "/api/v2/backup/list-filesets", `{"BackupId":null}`).want(t, 500, `{"Error":"An error occurred","Code":500}`)
		c.do("POST", "/api/v2/backup/list-folder", `{"BackupId":"`+id+`","Paths":null,"Time":""}`).want(t, 400, "")
		c.do("POST", "/api/v2/backup/list-filesets", `{"backupid":"`+id+`"}`).want(t, 200,
			`{"Success":false,"Error":"No filesets found on remote target","StatusCode":"EmptyRemoteFolder"}`)
		if strings.HasSuffix(t.Name(), "/2.3.1") {
			c.run(id)
			c.do("POST", "/api/v2/backup/list-filesets", `{"backupid":"`+id+`"}`).want(t, 200,
				`{"Success":false,"Error":"The backup database is currently in use by another operation and cannot be accessed concurrently. Please wait for the running operation to finish and try again.","StatusCode":"DatabaseLocked"}`)
		}
	})
}

func TestEachGenerationKnowsItsOwnVerbs(t *testing.T) {
	const noTask = `{"Error":"No such task found","Code":404}`
	type answer struct {
		status int
		body   string
	}
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{})
		c.login()
		old := strings.HasSuffix(t.Name(), "/2.1")
		pick := func(of21, later answer) answer {
			if old {
				return of21
			}
			return later
		}
		unknown := answer{404, ""}
		for _, x := range []struct {
			method, path, body string
			want               answer
		}{
			{"POST", "task/99/stop", "", pick(unknown, answer{404, noTask})},
			{"POST", "task/99/stopnow", "", pick(answer{404, noTask}, unknown)},
			{"POST", "task/99/stopaftercurrentfile", "", pick(answer{404, noTask}, unknown)},
			{"POST", "task/99/abort", "", answer{404, noTask}},
			{"POST", "task/x/stop", "", pick(unknown, answer{400, ""})},
			{"GET", "logdata/crashlog", "", pick(unknown, answer{200, `{"Logdata":null}`})},
			{"POST", "auth/issuetoken/Export", "", answer{400, `{"Error":"Invalid operation","Code":400}`}},
			{"GET", "backup/0" + id, "", answer{404, `{"Error":"Backup not found","Code":404}`}},
			{"GET", "backup/" + id + "/export", "", answer{400, ""}},
			{"GET", "backup/" + id + "/export?token=x", "", answer{500, `{"Error":"An error occurred","Code":500}`}},
			{"GET", "backup/" + id + "/isdbusedelsewhere", "", answer{200, `{"inuse":false}`}},
			{"POST", "serverstate/pause?duration=1.5h", "", answer{400, `{"Error":"The duration must be a valid time span","Code":400}`}},
			{"PATCH", "serversettings", "[]", answer{400, ""}},
			{"PUT", "serversetting/is-first-run", "1", answer{400, ""}},
			{"PUT", "serversetting/jwt-config", `"x"`, answer{400, `{"Error":"Cannot update jwt-config setting","Code":400}`}},
			{"POST", "backups/import", `{"config":"e30="}`, answer{500, `{"Error":"Failed to import backup: No backup found in document","Code":500}`}},
			{"DELETE", "backup/" + id + "?force=yes", "", answer{400, ""}},
		} {
			c.do(x.method, "/api/v1/"+x.path, x.body).want(t, x.want.status, x.want.body)
		}
	})
}

// What of a configuration a generation does not know, it passes over.
func TestWhatAGenerationDoesNotKnowIsPassedOver(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		c.login()
		knows := strings.HasSuffix(t.Name(), "/2.3.1")
		connections := knows || strings.HasSuffix(t.Name(), "/2.3.0")
		for i, more := range []string{`"OperationType":"Nonsense"`, `"OperationType":7`, `"ConnectionStringID":"x"`, `"AdditionalTargetURLs":7`} {
			body := fmt.Sprintf(`{"Backup":{"Name":"N%d","TargetURL":"file:///x","Sources":["/x/"],"Settings":[{"Name":"passphrase","Value":"p"}],%s}}`, i, more)
			want := 200
			if i < 2 && knows || i >= 2 && connections {
				want = 400
			}
			if r := c.do("POST", "/api/v1/backups", body); r.Status != want {
				t.Errorf("%s: %d %s, want %d", more, r.Status, r.Body, want)
			}
		}
	})
}

func TestForeverTokensAreForOneStartAndTenYears(t *testing.T) {
	const (
		disabled = `{"Error":"Forever tokens are not enabled","Code":401}`
		used     = `{"Error":"Cannot generate multiple forever tokens, restart the server to generate a new one","Code":401}`
		path     = "/api/v1/auth/issue-forever-token"
	)
	on, off := true, false
	eachGeneration(t, func(t *testing.T, c *client) {
		s := c.login()
		c.do("POST", path, "").want(t, 401, disabled)
		c.do("GET", path, "").want(t, 405, "")
		c.Restart(duplicatitest.RestartOptions{ForeverTokens: &on})
		c.token = ""
		c.do("POST", path, "").want(t, 401, "")
		c.token = s.AccessToken
		issued := c.do("POST", path, `{"Anything":1}`, "Content-Type", "text/plain") // it reads no body
		var reply map[string]any
		issued.decode(t, &reply)
		nonce, told := reply["RefreshNonce"]
		if old := strings.HasSuffix(t.Name(), "/2.1"); issued.Status != 200 || issued.Header.Get("Set-Cookie") != "" || told == old || nonce != nil {
			t.Fatalf("%d %s", issued.Status, issued.Body)
		}
		c.do("POST", path, "").want(t, 401, used)
		c.token = reply["AccessToken"].(string)
		c.do("POST", path, "").want(t, 401, used)
		c.Advance(9 * 365 * 24 * time.Hour)
		if c.state().ProgramState != "Running" {
			t.Error("it does not live for nine years")
		}
		c.Restart(duplicatitest.RestartOptions{ForeverTokens: &off})
		if c.state().ProgramState != "Running" {
			t.Error("it does not outlive the option")
		}
		c.do("POST", path, "").want(t, 401, disabled)
		c.Restart(duplicatitest.RestartOptions{ForeverTokens: &on})
		if r := c.do("POST", path, ""); r.Status != 200 {
			t.Errorf("after a restart: %d %s", r.Status, r.Body)
		}
		c.Advance(2 * 365 * 24 * time.Hour)
		if r := c.do("GET", "/api/v1/serverstate", ""); r.Status != 401 || !strings.Contains(r.Header.Get("WWW-Authenticate"), "expired") {
			t.Errorf("after eleven years: %d %s", r.Status, r.Header.Get("WWW-Authenticate"))
		}
	})
}

// Which tokens open a websocket, by which way.
func TestAWebsocketTakesTokensFromTheQueryTheHeaderAndTheFirstMessage(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		old := strings.HasSuffix(t.Name(), "/2.1")
		s := c.login()
		dead := c.login()
		c.token = s.AccessToken
		req := c.request("POST", "/api/v1/auth/refresh/logout", `{"Nonce":"`+dead.RefreshNonce+`"}`, "Cookie", dead.cookie)
		req.Header.Del("Authorization")
		c.send(req).want(t, 200, `{"success":true}`)
		var single, export struct{ Token string }
		c.do("POST", "/api/v1/auth/issuetoken/export", "").decode(t, &export)
		if !old {
			c.do("POST", "/api/v1/auth/issuetoken/websocket", "").decode(t, &single)
		}
		for _, x := range []struct {
			name, query, header, message string
			want                         string // what comes first: a state, "auth", a status, or a close
		}{
			{"an access token in the query", "?token=" + s.AccessToken, "", "", "state"},
			{"in the header", "", "Bearer " + s.AccessToken, "", "state"},
			{"of a session that was ended, in the query", "?token=" + dead.AccessToken, "", "", "500"},
			{"of a session that was ended, in the header", "", "Bearer " + dead.AccessToken, "", "500"},
			{"garbage in the query", "?token=garbage", "", "garbage", "4401 Invalid message format"},
			{"by another name in the query", "?access_token=" + s.AccessToken, "", "garbage", "4401 Invalid message format"},
			{"one for another operation in the query", "?token=" + export.Token, "", "garbage", "4401 Invalid message format"},
			{"one for a websocket in the query", "?token=" + single.Token, "", "garbage", "4401 Invalid message format"},
			{"an access token in the message", "", "", `{"Version":1,"Token":"` + s.AccessToken + `"}`, "auth"},
			{"of a session that was ended, in the message", "", "", `{"Version":1,"Token":"` + dead.AccessToken + `"}`, "auth"},
			{"one for a websocket in the message", "", "", `{"Version":1,"Token":"` + single.Token + `"}`, "auth"},
			{"one for another operation in the message", "", "", `{"Version":1,"Token":"` + export.Token + `"}`, "4401 Invalid token"},
			{"another version", "", "", `{"Version":2,"Token":"` + s.AccessToken + `"}`, "4401 Unsupported API version"},
			{"a subscription before the token", "", "", `{"Version":1,"Action":"sub","Service":"progress"}`, "4401 Invalid token"},
		} {
			if old && x.want != "state" && x.want != "500" {
				x.want = "4401 User is not authenticated!" // it knows no first message
			}
			header := http.Header{}
			if x.header != "" {
				header.Set("Authorization", x.header)
			}
			conn, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(c.URL, "http")+"/notifications"+x.query, &websocket.DialOptions{HTTPHeader: header})
			if err != nil {
				if got := fmt.Sprint(res.StatusCode); got != x.want {
					t.Errorf("%s: %s, want %s", x.name, got, x.want)
				}
				continue
			}
			if x.message != "" && !old {
				if err := conn.Write(t.Context(), websocket.MessageText, []byte(x.message)); err != nil {
					t.Fatal(err)
				}
			}
			got := "nothing"
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, raw, err := conn.Read(ctx)
			cancel()
			var closed websocket.CloseError
			switch {
			case errors.As(err, &closed):
				got = fmt.Sprintf("%d %s", closed.Code, closed.Reason)
			case strings.Contains(string(raw), `"ProgramState"`):
				got = "state"
			case strings.Contains(string(raw), `"Type":"auth"`):
				got = "auth"
			}
			if got != x.want {
				t.Errorf("%s: %s (%s, %v), want %s", x.name, got, raw, err, x.want)
			}
			conn.CloseNow()
		}
	})
}

// What nobody has recorded and no text tells is refused, so that no test relies
// on what the fake makes up.
func TestWhatIsNotKnownOfARealServerIsRefused(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{})
		c.login()
		newest, old := strings.HasSuffix(t.Name(), "/2.3.1"), strings.HasSuffix(t.Name(), "/2.1")
		known := newest || strings.HasSuffix(t.Name(), "/2.3.0")
		for _, x := range []struct {
			method, path, body string
			here               bool
		}{
			{"GET", "/", "", true},
			{"GET", "/ngclient/index.html", "", true},
			{"POST", "/api/v1/captcha", `{"target":"x"}`, true},
			{"GET", "/api/v1/captcha/x", "", true},
			{"POST", "/api/v1/backups", `{"Backup":null}`, true},
			{"PUT", "/api/v1/backup/" + id, `{"Backup":null}`, true},
			{"POST", "/api/v1/backups/import", `{"config":"` + base64.StdEncoding.EncodeToString([]byte(`{"Backup":{"Name":7}}`)) + `","direct":true}`, true},
			{"POST", "/api/v1/backups/import", `{"config":"` + base64.StdEncoding.EncodeToString([]byte(`7`)) + `","direct":true}`, true},
			{"PATCH", "/api/v1/serversettings", `{"update-check-interval":7}`, newest},
			{"PATCH", "/api/v1/serversettings", `{"update-check-interval":"-1W"}`, newest},
			{"PATCH", "/api/v1/serversettings", `{"update-check-interval":""}`, newest},
			{"PUT", "/api/v1/serversetting/update-check-interval", `"1W"`, newest || !known},
			{"PUT", "/api/v1/serversetting/startup-delay", `"5m"`, !known},
			{"GET", "/api/v1/logdata/poll?id=1&level=7", "", true},
			{"POST", "/api/v2/backup/list-folder", `{"BackupId":"` + id + `","Paths":null,"Time":"","PageSize":0,"Page":0}`, !old},
			{"POST", "/api/v2/backup/delete-versions", `{"BackupId":"` + id + `","Versions":null}`, newest},
			{"POST", "/api/v1/remotecontrol/register", `{"RegistrationUrl":"x"}`, true},
			{"POST", "/api/v1/uisettings", `{"Certificate":"x"}`, true},
			{"POST", "/api/v1/backup/" + id + "/movedb", `{"path":"/x.sqlite"}`, true},
			{"GET", "/notifications/", "", true},
		} {
			if !x.here {
				continue
			}
			r := c.do(x.method, x.path, x.body)
			if r.Status != 501 || !strings.HasPrefix(r.Body, "duplicatitest: not known of a real server: ") || len(c.Unknown()) != 1 {
				t.Errorf("%s %s %s: %d %s", x.method, x.path, x.body, r.Status, r.Body)
			}
		}
		if _, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(c.URL, "http")+"/notifications", &websocket.DialOptions{Subprotocols: []string{"x"}}); err == nil {
			t.Error("a websocket with subprotocols was opened")
		}
		if _, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(c.URL, "http")+"/notifications?token="+c.token, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + c.token}}}); err == nil {
			t.Error("a websocket with two tokens was opened")
		}
		c.Unknown()
	})
}

func TestTheUpdateCheckIntervalIsLookedAtSince231(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		c.login()
		for _, value := range []string{"nonsense", "1w", "1.5D", "5d", "1W", "7D"} {
			r := c.do("PATCH", "/api/v1/serversettings", `{"update-check-interval":"`+value+`"}`)
			good := value == "1W" || value == "7D"
			switch newest := strings.HasSuffix(t.Name(), "/2.3.1"); {
			case newest && !good:
				r.want(t, 400, `{"Error":"The update check interval `+value+` is not valid","Code":400,"HelpId":"InvalidUpdateCheckInterval"}`)
			default:
				r.want(t, 200, "")
			}
		}
	})
}
