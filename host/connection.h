// One connected socket, between the loop and a transport's session. Internal to net.
//
//   sniffing ─▶ open ─▶ closing (what is queued goes out) ─▶ lingering (our FIN is sent, the peer's is
//   awaited) ─▶ closed
//        └───────┴──▶ aborting
//        ────────────────────────────────────────────────────────────────────────────────────▲
//
// Sessions are told at the end of the turn (Hub::on_turn_end) or straight from the socket's readiness, so no
// method here ever calls back into its caller.
#pragma once

#include <functional>

#include "host/address.h"
#include "host/net.h"
#include "host/net_log.h"

namespace quorate::host {

class SocketConnection;

// What the connections of one Net share.
class Hub final : public TurnEnd, public std::enable_shared_from_this<Hub> {
 public:
  Hub(AsioExecutor* executor, plugin::CallHandler* handler, const NetOptions& options);

  void start();  // before the first connection
  void stop();   // after close_all(): the executor forgets the hub
  void on_turn_end() noexcept override;

  void mark_dirty(SocketConnection* c);  // it wants end_of_turn()
  void read_again(SocketConnection* c);  // it has bytes left: next turn
  void add(SocketConnection* c);         // takes over one reference
  void remove(SocketConnection* c);      // the reference goes at the end of the turn
  void close_all();
  uint64_t now_ns() const { return executor->clock().monotonic_ns(); }

  AsioExecutor* const executor;
  plugin::CallHandler* const handler;
  const NetOptions options;
  CauseLog log;
  uint64_t next_id = 1;
  uint64_t charged = 0;
  uint64_t clients = 0;  // connections of client listeners
  std::vector<SocketConnection*> all;
  std::function<void()> on_removed;  // a connection is gone: there may be room for another

  static constexpr uint64_t kReadBuffer = 64u << 10;
  std::unique_ptr<uint8_t[]> read_buffer;

 private:
  void run_again();

  std::vector<SocketConnection*> dirty_;
  std::vector<SocketConnection*> working_;
  std::vector<SocketConnection*> again_;
  std::vector<SocketConnection*> removed_;
  bool again_is_posted_ = false;
};

class SocketConnection final : public plugin::Counted<plugin::Connection>, public Readiness {
 public:
  // Takes the descriptor over.
  SocketConnection(Hub* hub, int fd, std::shared_ptr<const ListenOptions> options, const SocketAddress& local,
                   const SocketAddress& remote);
  ~SocketConnection();

  // Both register with the loop and the hub; false: no memory for it, and the connection is closed already.
  bool accept();
  plugin::Status connect(const DialOptions& options, Net::Closed closed, plugin::ClientSession** session);

  // plugin::Connection
  const plugin::ConnectionInfo& info() noexcept override { return info_; }
  uint64_t now_ns() noexcept override;
  void send(plugin::View<plugin::Buffer> bytes) noexcept override;
  uint64_t queued_bytes() noexcept override { return queued_; }
  void request_flush() noexcept override;
  void pause_read() noexcept override { paused_ = true; }
  void resume_read() noexcept override;
  void arm(uint64_t at_ns) noexcept override;
  bool charge(int64_t bytes) noexcept override;
  void close(plugin::CloseMode mode) noexcept override;

  // For the hub.
  void on_ready(uint32_t events) noexcept override;
  void end_of_turn();
  void read();
  void drain();
  void abort(const plugin::Status& why);
  void finish_now(const plugin::Status& why);  // abort, and tell the session before this returns

  bool is_dirty = false;
  bool reads_again = false;
  size_t position = 0;  // in Hub::all

 private:
  enum class State : uint8_t { kSniffing, kOpen, kClosing, kAborting, kLingering, kClosed };

  bool reads() const {
    return state_ == State::kSniffing || state_ == State::kOpen || state_ == State::kLingering;
  }
  bool is_live() const { return state_ == State::kSniffing || state_ == State::kOpen; }
  void deliver(plugin::ByteView bytes);
  void sniff(plugin::ByteView bytes);
  void serve(plugin::Transport* transport, plugin::ByteView first, plugin::ByteView rest);
  void got_eof();
  void accept_status(const plugin::Status& status);
  void write_out();
  void drop_sent(uint64_t bytes);
  void maybe_writable();
  void end_session(const plugin::Status& why);
  void linger();
  void close_socket();
  void set_deadline(uint64_t at_ns);
  void on_timer();

  Hub* const hub_;
  int fd_;
  State state_ = State::kSniffing;
  bool paused_ = false;
  bool readable_ = false;      // the kernel may have bytes for us
  bool end_expected_ = false;  // the peer has shut down: read on until the end shows
  bool eof_ = false;
  bool blocked_ = false;    // the kernel takes no more bytes for now
  bool over_mark_ = false;  // on_writable is owed
  bool wants_flush_ = false;
  bool is_client_ = false;  // counted in Hub::clients

  plugin::Ref<plugin::Session> session_;
  std::vector<plugin::Buffer> out_;
  size_t out_begin_ = 0;  // buffers before it have been sent
  uint64_t queued_ = 0;   // bytes of out_ not sent
  uint64_t charged_ = 0;
  uint64_t deadline_ = 0;  // what it means depends on the state; 0: none
  uint64_t timer_at_ = 0;
  TimerId timer_ = 0;
  uint64_t closed_at_ = 0;
  plugin::Status why_;  // of an abort
  std::vector<uint8_t> first_bytes_;

  plugin::ConnectionInfo info_;
  const std::shared_ptr<const ListenOptions> options_;
  std::string local_;
  std::string remote_;
  Net::Closed closed_;
};

}  // namespace quorate::host
