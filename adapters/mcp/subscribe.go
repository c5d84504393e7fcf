package mcp

import (
	"context"
	"sync"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// subscriptionsEach bounds what one client can make this process remember.
const subscriptionsEach = 100

// subscriptions is who wants to hear of which resources. The library takes
// the requests and leaves the keeping to us.
type subscriptions struct {
	mu  sync.Mutex
	all map[server.ClientSession]map[string]wish // by URI
}

// wish is what a subscription is told by: the ID of a stream and what knows
// that it has begun; neither for clients before 2026-07-28.
type wish struct {
	stream any
	acks   *acks
}

// followSubscriptions keeps subscriptions as clients make and end them: by
// resources/subscribe until 2025-11-25, by subscriptions/listen since.
func (s *Server) followSubscriptions(hooks *server.Hooks) {
	s.subs.all = map[server.ClientSession]map[string]wish{}
	hooks.AddAfterSubscribe(func(ctx context.Context, _ any, req *proto.SubscribeRequest, _ *proto.EmptyResult) {
		s.subscribe(ctx, req.Params.URI, wish{})
	})
	hooks.AddAfterUnsubscribe(func(ctx context.Context, _ any, req *proto.UnsubscribeRequest, _ *proto.EmptyResult) {
		s.subs.remove(server.ClientSessionFromContext(ctx), req.Params.URI)
	})
	hooks.AddOnUnregisterSession(func(_ context.Context, session server.ClientSession) { s.subs.remove(session, "") })
	hooks.AddBeforeSubscriptionsListen(func(ctx context.Context, id any, req *proto.SubscriptionsListenRequest) {
		session := server.ClientSessionFromContext(ctx)
		w := wish{stream: id, acks: acksOf(ctx)}
		var uris []string
		for _, uri := range req.Params.Notifications.ResourceSubscriptions {
			if s.subscribe(ctx, uri, w) {
				uris = append(uris, uri)
			}
		}
		context.AfterFunc(ctx, func() {
			for _, uri := range uris {
				s.subs.remove(session, uri)
			}
		})
	})
	hooks.AddAfterSubscriptionsListen(func(ctx context.Context, id any, _ *proto.SubscriptionsListenRequest, _ *proto.SubscriptionsListenResult) {
		if a := acksOf(ctx); a != nil {
			a.end(ctx, id)
		}
	})
}

// subscribe remembers a wish for a resource that there is and that the caller
// may see.
func (s *Server) subscribe(ctx context.Context, uri string, w wish) bool {
	op := s.resourceOf(uri)
	session := server.ClientSessionFromContext(ctx)
	if op == nil || session == nil || len(uri) > 256 || !s.visible(ctx)[op] {
		return false
	}
	s.subs.mu.Lock()
	defer s.subs.mu.Unlock()
	mine := s.subs.all[session]
	if mine == nil {
		mine = map[string]wish{}
		s.subs.all[session] = mine
	}
	if len(mine) >= subscriptionsEach {
		return false
	}
	mine[uri] = w
	return true
}

// remove ends one subscription of a session, or with "" all of them.
func (b *subscriptions) remove(session server.ClientSession, uri string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all[session], uri)
	if uri == "" || len(b.all[session]) == 0 {
		delete(b.all, session)
	}
}

// Changed tells subscribers that the resources of these names, as operations
// declare them, may read differently now. It returns at once; a client that
// does not listen, or does not know yet that it does, misses it.
func (s *Server) Changed(resources ...string) {
	s.subs.mu.Lock()
	defer s.subs.mu.Unlock()
	for session, uris := range s.subs.all {
		for uri, w := range uris {
			if w.acks != nil && !w.acks.have(w.stream) {
				continue
			}
			for _, noun := range resources {
				if op := s.resourceOf(uri); op != nil && op.Resource == noun {
					notify(session, uri, w.stream)
				}
			}
		}
	}
}

func notify(session server.ClientSession, uri string, stream any) {
	n := proto.JSONRPCNotification{JSONRPC: proto.JSONRPC_VERSION}
	n.Method = proto.MethodNotificationResourceUpdated
	n.Params.AdditionalFields = map[string]any{"uri": uri}
	if stream != nil {
		n.Params.Meta = map[string]any{proto.MetaKeySubscriptionID: stream}
	}
	select {
	case session.NotificationChannel() <- n:
	default:
	}
}
