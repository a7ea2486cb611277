package main

import (
	"context"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// host answers the engine's calls. What it embeds answers "unimplemented" to the calls that
// generate or pack code: those need the code generator, and no program here is generated.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	executor string
	tracing  string

	mu     sync.Mutex
	engine string

	// Ends when the engine cancels, and with it every call that is under way.
	running context.Context
	cancel  context.CancelFunc
	calls   sync.WaitGroup
}

func newHost(executor, engine, tracing string) *host {
	running, cancel := context.WithCancel(context.Background())
	return &host{
		executor: executor,
		tracing:  tracing,
		engine:   engine,
		running:  running,
		cancel:   cancel,
	}
}

// Handshake tells the engine's address when it was not among the arguments.
func (h *host) Handshake(
	_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine = req.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

// GetPluginInfo tells the version of the SDK that this host was built with.
func (h *host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version.Version}, nil
}

// Cancel ends the programs and plugins that are running, and waits until they have gone: the
// engine goes on to interrupt whatever is left. Their calls return an error.
func (h *host) Cancel(call context.Context, _ *emptypb.Empty) (*emptypb.Empty, error) {
	h.cancel()
	gone := make(chan struct{})
	go func() {
		h.calls.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return &emptypb.Empty{}, nil
	case <-call.Done():
		return nil, status.FromContextError(call.Err()).Err()
	}
}

func (h *host) engineAddress() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.engine
}

// begin gives a call a context that the engine's Cancel ends as well. The call must call end.
func (h *host) begin(call context.Context) (ctx context.Context, end func()) {
	h.calls.Add(1)
	ctx, cancel := context.WithCancel(call)
	stop := context.AfterFunc(h.running, cancel)
	return ctx, func() {
		stop()
		cancel()
		h.calls.Done()
	}
}
