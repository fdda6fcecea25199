// A Go program that uses etcd's own naming package, as services written in Go do. tests/go_client.rs builds and runs it.
//
//	list  <endpoint> <target>                what Manager.List finds: one line "key address" for each
//	add   <endpoint> <target> <id> <address> registers one, on no lease
//	lease <endpoint> <target> <id> <address> registers one on a lease, and keeps it alive until its input ends
//	del   <endpoint> <target> <id>           takes one out
//	watch <endpoint> <target>                what a watch says, one line "+ key address" or "- key" each, until its input ends
//	call  <endpoint> <target> <times> <policy>
//	                                         so many calls over the target "etcd:///<target>", each with its peer's address
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/naming/endpoints"
	"go.etcd.io/etcd/clientv3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

const patience = 10 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	wanted := map[string]int{"list": 3, "add": 5, "lease": 5, "del": 4, "watch": 3, "call": 5}
	if len(args) == 0 || wanted[args[0]] != len(args) {
		return fmt.Errorf("unknown command or wrong number of arguments: %v", args)
	}
	command, target := args[0], args[2]
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{args[1]}, DialTimeout: patience})
	if err != nil {
		return err
	}
	defer client.Close()
	manager, err := endpoints.NewManager(client, target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch command {
	case "list":
		found, err := manager.List(ctx)
		if err != nil {
			return err
		}
		var lines []string
		for key, endpoint := range found {
			lines = append(lines, key+" "+endpoint.Addr)
		}
		sort.Strings(lines)
		for _, line := range lines {
			fmt.Println(line)
		}
		return nil
	case "add":
		return manager.AddEndpoint(ctx, target+"/"+args[3], endpoints.Endpoint{Addr: args[4]})
	case "lease":
		return lease(ctx, client, manager, target+"/"+args[3], args[4])
	case "del":
		return manager.DeleteEndpoint(ctx, target+"/"+args[3])
	case "watch":
		return watch(manager)
	default:
		return call(ctx, client, target, args[3], args[4])
	}
}

func lease(ctx context.Context, client *clientv3.Client, manager endpoints.Manager, key, address string) error {
	granted, err := client.Grant(ctx, 2)
	if err != nil {
		return err
	}
	kept, err := client.KeepAlive(context.Background(), granted.ID)
	if err != nil {
		return err
	}
	go func() {
		for range kept {
		}
	}()
	endpoint := endpoints.Endpoint{Addr: address, Metadata: map[string]string{"zone": "go"}}
	if err := manager.AddEndpoint(ctx, key, endpoint, clientv3.WithLease(granted.ID)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func watch(manager endpoints.Manager) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	updates, err := manager.NewWatchChannel(ctx)
	if err != nil {
		return err
	}
	go func() {
		for batch := range updates {
			for _, update := range batch {
				if update.Op == endpoints.Add {
					fmt.Println("+", update.Key, update.Endpoint.Addr)
				} else {
					fmt.Println("-", update.Key)
				}
			}
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func call(ctx context.Context, client *clientv3.Client, target, times, policy string) error {
	count, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	builder, err := resolver.NewBuilder(client)
	if err != nil {
		return err
	}
	connection, err := grpc.DialContext(ctx, "etcd:///"+target,
		grpc.WithResolvers(builder),
		grpc.WithInsecure(),
		grpc.WithBlock(),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingPolicy":%q}`, policy)))
	if err != nil {
		return err
	}
	defer connection.Close()
	health := grpc_health_v1.NewHealthClient(connection)
	for i := 0; i < count; i++ {
		var from peer.Peer
		answer, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Peer(&from), grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		fmt.Println(answer.Status, from.Addr)
	}
	return nil
}
