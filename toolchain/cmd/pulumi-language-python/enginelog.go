package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	info    = pulumirpc.LogSeverity_INFO
	failure = pulumirpc.LogSeverity_ERROR
)

// engineLog shows the user what happens during a call whose answer has no place for it.
type engineLog struct {
	ctx        context.Context
	connection *grpc.ClientConn
	stream     int32
}

func dialEngineLog(ctx context.Context, address string) (*engineLog, error) {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), rpcutil.GrpcChannelOptions())
	if err != nil {
		return nil, fmt.Errorf("connecting to the engine at %q: %w", address, err)
	}
	// The engine puts messages of one number together.
	return &engineLog{ctx: ctx, connection: connection, stream: rand.Int32()}, nil
}

func (l *engineLog) Close() { _ = l.connection.Close() }

func (l *engineLog) writer(severity pulumirpc.LogSeverity) *engineWriter {
	return &engineWriter{log: l, severity: severity}
}

type engineWriter struct {
	log      *engineLog
	severity pulumirpc.LogSeverity
}

func (w *engineWriter) Write(written []byte) (int, error) {
	_, err := pulumirpc.NewEngineClient(w.log.connection).Log(w.log.ctx, &pulumirpc.LogRequest{
		Severity:  w.severity,
		Message:   strings.ToValidUTF8(string(written), "\uFFFD"),
		StreamId:  w.log.stream,
		Ephemeral: true,
	})
	if err != nil {
		return 0, err
	}
	return len(written), nil
}
