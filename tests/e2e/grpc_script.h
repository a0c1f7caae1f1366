// Runs a script of gRPC calls. A line is one of
//   METHOD [request as text]     a unary call, or RangeStream, whose parts are put together
//   KeepAlive [request]          one LeaseKeepAlive
//   open W | send W [WatchRequest] | half W       a Watch call named W
//   recv W [N]                   its next N answers
//   events W N                   answers until they held N events, which are listed by watch. How events are
//   spread
//                                over answers is the server's choice, but that no revision is torn apart is
//                                checked
//   progress W                   asks until it is answered; so nothing else was on its way
//   meta NAME=VALUE              metadata of the next call
//   raw PATH [hex]               any path, any bytes
//   expire ID                    waits until the lease is gone
//   fill PREFIX COUNT SIZE       puts that many values of that size
// $MEMBER stands for the member's id.
#pragma once

#include "e2e/api_client.h"
#include "e2e/server.h"
#include "e2e/transcript.h"

namespace quorate::test {

// Against a server that was just started, or in what the frame says of its store.
Transcript run_grpc_script(const Script& script, const Server& server, const Frame& frame = {});

}  // namespace quorate::test
