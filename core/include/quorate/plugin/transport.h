// Transport plugins: how calls and streams travel over a connection. Sans-I/O: the host gives bytes and time,
// the plugin answers with bytes and calls; it opens no socket, starts no thread, reads no clock of its own.
// One session per connection, server or client side. A transport moves (method, message bytes) and knows no
// message.
//
//   bytes in ─▶ Session::on_data ─▶ CallHandler::on_call / StreamReader::on_message ─▶ core
//   bytes out ◀─ Connection::send ◀─ ServerWriter::write / finish ◀────────────────── core
//
// Everything in this file is [loop]: one connection, its session and all its calls live on one loop. No
// method of Connection or of a Writer calls back into its caller before the outermost call has returned.
#pragma once

#include "quorate/plugin/abi.h"

namespace quorate::plugin {

// ---- The host's side of a connection
// -----------------------------------------------------------------------------

enum class ListenerRole : uint32_t { kClient = 1, kPeer = 2, kMetrics = 3 };

// Zero means: no limit, or never, unless said otherwise.
struct TransportLimits {
  uint64_t struct_size = sizeof(TransportLimits);
  uint64_t max_receive_message = 2u << 20;  // bytes; a larger message ends its call with ResourceExhausted
  uint64_t max_send_message = 0x7fffffff;   // bytes
  uint32_t max_concurrent_streams = 0xffffffff;        // per connection
  uint32_t max_header_bytes = 16u << 10;               // of one call's header list
  uint64_t keepalive_min_time_ns = 5'000'000'000;      // pings closer together are answered with GOAWAY
  uint64_t keepalive_interval_ns = 7'200'000'000'000;  // we ping an idle peer; 0: never
  uint64_t keepalive_timeout_ns = 20'000'000'000;      // a ping without an answer closes the connection
  uint64_t handshake_timeout_ns = 10'000'000'000;      // from accept to the peer's complete preface
  uint64_t send_mark = 256u << 10;  // bytes queued on the socket at which writers should pause
};

struct ConnectionInfo {
  uint64_t struct_size = sizeof(ConnectionInfo);
  uint64_t id = 0;  // unique in the process
  ListenerRole role = ListenerRole::kClient;
  uint32_t secure = 0;     // bytes were encrypted
  ByteView local_address;  // "127.0.0.1:2379", "unix:/path"
  ByteView remote_address;
  ByteView principal;     // verified by an auth plugin; empty: anonymous
  ByteView alpn;          // negotiated; empty without TLS
  int64_t unix_pid = -1;  // credentials of a unix socket's peer, or -1
  int64_t unix_uid = -1;
  int64_t unix_gid = -1;
  const TransportLimits* limits = nullptr;  // never null; lives as long as the connection
};

enum class CloseMode : uint32_t {
  kGraceful = 0,  // after what is queued has been written
  kAbort = 1,     // now
};

// What the host gives a session.
class Connection : public Object {
 public:
  virtual const ConnectionInfo& info() noexcept = 0;
  virtual uint64_t now_ns() noexcept = 0;  // the loop's monotonic time
  // Queues bytes for the socket; always accepts. The buffers are lent (the host takes its own references).
  virtual void send(View<Buffer> bytes) noexcept = 0;
  virtual uint64_t queued_bytes() noexcept = 0;
  // Asks for one Session::on_flush at the end of this turn of the loop, so that everything of a turn is sent
  // at once.
  virtual void request_flush() noexcept = 0;
  virtual void pause_read() noexcept = 0;
  virtual void resume_read() noexcept = 0;
  // One Session::on_timer at or after that time; replaces the last; 0: none.
  virtual void arm(uint64_t at_ns) noexcept = 0;
  // Counts memory held on behalf of the peer; false: over its budget, and the session should shed or close.
  virtual bool charge(int64_t bytes) noexcept = 0;
  virtual void close(CloseMode mode) noexcept = 0;  // on_closed follows, once

 protected:
  ~Connection() = default;
};

// ---- Calls
// ---------------------------------------------------------------------------------------------------------

struct Header {
  ByteView name;  // lower case
  ByteView value;
};
static_assert(sizeof(Header) == 32);

struct CallInfo {
  uint64_t struct_size = sizeof(CallInfo);
  ByteView method;  // "/package.Service/Method"
  ByteView authority;
  View<Header> metadata;     // without pseudo headers; "-bin" values are decoded
  uint64_t deadline_ns = 0;  // on the loop's monotonic clock; 0: none. Core enforces it.
  Connection* connection = nullptr;
};

enum class EndCause : uint32_t {
  kFinished = 0,   // server side: finish() was delivered to the transport; client side: the server's trailers
  kCancelled = 1,  // the other side cancelled the call
  kConnectionLost = 2,
  kProtocolError = 3,  // the other side broke the protocol, or a limit; the transport has answered it already
};

struct End {
  uint64_t struct_size = sizeof(End);
  EndCause cause = EndCause::kFinished;
  uint32_t code = 0;  // the gRPC status code
  ByteView text;
  View<Header> trailers;
};

// Core's end of a call's incoming messages. Ref-counted; outlives the connection. After on_end calls do
// nothing.
class StreamReader : public Object {
 public:
  virtual void on_headers(View<Header> headers) noexcept = 0;  // client side: the server's initial metadata
  virtual void on_message(Buffer message) noexcept = 0;  // one whole message; only against request() credit
  virtual void on_half_close() noexcept = 0;             // the other side sends no more
  virtual void on_writable() noexcept = 0;  // once, when the call's queue has fallen to half of the send mark
  virtual void on_end(const End& end) noexcept = 0;  // once, and last

 protected:
  ~StreamReader() = default;
};

// The transport's end of a call. Ref-counted; after the call has ended its methods do nothing.
class Writer : public Object {
 public:
  // Queues one message, given in pieces; always accepts.
  virtual void write(View<Buffer> message) noexcept = 0;
  // Bytes of this call queued and not yet handed to the socket (flow control included).
  virtual uint64_t queued_bytes() noexcept = 0;
  // Opens the window for `messages` more. Credit starts at one, so back-pressure runs from core to the peer.
  virtual void request(uint64_t messages) noexcept = 0;

 protected:
  ~Writer() = default;
};

class ServerWriter : public Writer {
 public:
  // Initial metadata; implied by the first write or by finish.
  virtual void headers(View<Header> metadata) noexcept = 0;
  // Ends the call with a gRPC status. Legal inside on_call.
  virtual void finish(uint32_t code, ByteView text, View<Header> trailers) noexcept = 0;

 protected:
  ~ServerWriter() = default;
};

// What a ServerWriter may offer beside: a message that goes out while it is still being made, so that a large
// answer need not be in memory as a whole. writer->query(LongMessage::kId); not an object of its own.
class LongMessage {
 public:
  static constexpr const char* kId = "quorate.transport.long_message/draft";
  // Begins a message of exactly `size` bytes. Until they have come, write() does nothing; finish() then ends
  // the call with the message cut short, which the other side sees as an error.
  virtual void begin(uint64_t size) noexcept = 0;
  // The next bytes of it. Those beyond `size` end the call with Internal.
  virtual void piece(View<Buffer> bytes) noexcept = 0;

 protected:
  ~LongMessage() = default;
};

class ClientWriter : public Writer {
 public:
  virtual void half_close() noexcept = 0;
  virtual void cancel() noexcept = 0;

 protected:
  ~ClientWriter() = default;
};

// Core's: decides what a call is. Lives as long as its sessions.
class CallHandler {
 public:
  // `info` and what it refers to live for the call. *out: a reader, one reference for the transport; left
  // null only when the call was finished already.
  virtual void on_call(const CallInfo& info, ServerWriter* writer, StreamReader** out) noexcept = 0;

 protected:
  ~CallHandler() = default;
};

// ---- Sessions
// ------------------------------------------------------------------------------------------------------

// One connection's protocol state. A Status that is not ok makes the host abort the connection and log the
// text.
class Session : public Object {
 public:
  virtual Status on_data(ByteView bytes) noexcept = 0;
  virtual Status on_writable() noexcept = 0;  // the socket's queue has fallen to half of the send mark
  virtual Status on_flush() noexcept = 0;     // once per turn after request_flush
  virtual Status on_timer(uint64_t now_ns) noexcept = 0;
  virtual Status on_eof() noexcept = 0;                    // the peer sends no more bytes
  virtual void on_closed(const Status& why) noexcept = 0;  // last; every open call gets its on_end within
  // No new calls (GOAWAY); those that run go on. Closes gracefully when the last has ended.
  virtual void drain() noexcept = 0;
  virtual uint64_t open_calls() noexcept = 0;

 protected:
  ~Session() = default;
};

class ClientSession : public Session {
 public:
  // Starts a call; the answer comes through `reader` (the transport takes its own reference).
  virtual Status open_call(const CallInfo& info, StreamReader* reader, ClientWriter** out) noexcept = 0;

 protected:
  ~ClientSession() = default;
};

class DialEvents {
 public:
  virtual void on_ready() noexcept = 0;     // calls may be opened
  virtual void on_draining() noexcept = 0;  // the server will take no new calls on this connection

 protected:
  ~DialEvents() = default;
};

// Separate connections, so that a snapshot never delays a heartbeat.
enum class Lane : uint32_t { kControl = 0, kAppend = 1, kBulk = 2 };

struct DialInfo {
  uint64_t struct_size = sizeof(DialInfo);
  Lane lane = Lane::kControl;
  ByteView authority;
  DialEvents* events = nullptr;
};

enum class Match : uint32_t { kNo = 0, kNeedMore = 1, kYes = 2 };

// The plugin's root.
class Transport : public Object {
 public:
  static constexpr const char* kId = "quorate.transport/draft";
  // Whether a connection that begins with these bytes (and this ALPN, if any) is ours.
  virtual Match match(ByteView first_bytes, ByteView alpn) noexcept = 0;
  virtual ByteView alpn() noexcept = 0;  // the protocols it speaks, comma-separated: "h2"
  virtual Status serve(Connection* connection, CallHandler* handler, Session** out) noexcept = 0;
  virtual Status dial(Connection* connection, const DialInfo& info, ClientSession** out) noexcept = 0;

 protected:
  ~Transport() = default;
};

}  // namespace quorate::plugin
