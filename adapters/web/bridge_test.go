package web_test

import (
	"context"

	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/store"
)

// pages lets the store keep pages.
type pages struct{ *store.Pages }

func (p pages) Create(ctx context.Context, page web.Page) error {
	return p.Pages.Create(ctx, store.Page{
		ID: page.ID, Approval: page.Approval, Slot: page.Slot, Kind: store.PageKind(page.Kind), Link: page.Link,
		Code: page.Code, Person: page.Person, Created: page.Created, Expires: page.Expires,
	})
}

func (p pages) ByLink(ctx context.Context, link string) (web.Page, error) {
	found, err := p.Pages.ByLink(ctx, link)
	return pageOf(found), err
}

func (p pages) Of(ctx context.Context, approval string) ([]web.Page, error) {
	list, err := p.Pages.Of(ctx, approval)
	out := make([]web.Page, len(list))
	for i := range list {
		out[i] = pageOf(list[i])
	}
	return out, err
}

func (p pages) Use(ctx context.Context, link, code string) (web.Page, error) {
	used, err := p.Pages.Use(ctx, link, code)
	return pageOf(used), err
}

func (p pages) Close(ctx context.Context, approval string) error {
	_, err := p.Pages.Close(ctx, approval)
	return err
}

func pageOf(p store.Page) web.Page {
	return web.Page{
		ID: p.ID, Approval: p.Approval, Slot: p.Slot, Kind: web.Kind(p.Kind), Link: p.Link, Code: p.Code,
		Person: p.Person, Created: p.Created, Expires: p.Expires, Used: p.Used, Tries: p.Tries,
	}
}
