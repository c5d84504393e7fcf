package mcp

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/tools"
)

// scheme is that of the resources' URIs: duplicati://backups is what the Read
// with the resource "backups" tells of every server, duplicati://backups/nas
// of one. A request is duplicati://requests/ID.
const scheme = "duplicati://"

// addResources makes a resource of each operation that says it is one.
func (s *Server) addResources() {
	for _, op := range s.Registry.All() {
		if op.Resource == "" {
			continue
		}
		s.rpc.AddResource(proto.Resource{
			URI: scheme + op.Resource, Name: op.Resource, Title: titled(op.Resource), Description: op.Summary + ".", MIMEType: "application/json",
		}, s.reader(op, ""))
		param := templateParam(op)
		if param == "" {
			continue
		}
		template := proto.NewResourceTemplate(scheme+op.Resource+"/{"+param+"}", op.Resource+" by "+param,
			proto.WithTemplateDescription(op.Summary+", for one "+param+"."), proto.WithTemplateMIMEType("application/json"))
		template.Title = titled(op.Resource) + " by " + param
		s.rpc.AddResourceTemplate(template, server.ResourceTemplateHandlerFunc(s.reader(op, param)))
	}
}

// templateParam is the parameter that the URIs of single resources end with.
func templateParam(op *tools.Operation) string {
	switch {
	case op.Follows:
		return "id"
	case !op.Global:
		return "server"
	}
	return ""
}

func titled(noun string) string {
	noun = strings.ReplaceAll(noun, "-", " ")
	return strings.ToUpper(noun[:1]) + noun[1:]
}

// reader reads what the URI names. The gate decides, as on a call.
func (s *Server) reader(op *tools.Operation, param string) server.ResourceHandlerFunc {
	return func(ctx context.Context, req proto.ReadResourceRequest) (contents []proto.ResourceContents, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = s.panicked(op.Name, v)
			}
		}()
		args := map[string]any{}
		switch {
		case param != "":
			args[param] = lastPart(req.Params.URI)
		case !op.Global:
			args["server"] = "all"
		}
		a, err := s.Door.Run(ctx, tools.Call{Operation: op.Name, Args: args, Caller: s.caller(ctx)})
		if err != nil {
			return nil, asError(err)
		}
		b, err := json.Marshal(s.answerOf(a))
		if err != nil {
			return nil, err
		}
		return []proto.ResourceContents{proto.TextResourceContents{URI: req.Params.URI, MIMEType: "application/json", Text: string(b)}}, nil
	}
}

func lastPart(uri string) string {
	part := uri[strings.LastIndexByte(uri, '/')+1:]
	if text, err := url.PathUnescape(part); err == nil {
		return text
	}
	return part
}

// resourceOf finds the operation behind the URI of a resource or a template.
func (s *Server) resourceOf(uri string) *tools.Operation {
	noun, _, _ := strings.Cut(strings.TrimPrefix(uri, scheme), "/")
	for _, op := range s.Registry.All() {
		if op.Resource != "" && op.Resource == noun && strings.HasPrefix(uri, scheme) {
			return op
		}
	}
	return nil
}
