// A network on virtual time between transports' sessions: bytes, latency, and what networks do wrong. Every
// end lives on its own machine's Executor; all executors share one clock.
//
// A connection is what TCP is: bytes arrive in order or not at all. Where a direction is blocked they wait
// (and arrive when it is opened again, unless an end gave up meanwhile); a machine that is told of a reset
// closes at once.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "quorate/dialer.h"
#include "quorate/plugin/transport.h"
#include "quorate/runtime.h"

namespace quorate::test {

class VirtualConnection;

class VirtualNet {
 public:
  explicit VirtualNet(uint64_t seed);
  ~VirtualNet();

  struct Listener {
    std::string machine;
    Executor* executor = nullptr;
    plugin::CallHandler* handler = nullptr;
    std::vector<plugin::Transport*> transports;  // asked in this order
    plugin::ListenerRole role = plugin::ListenerRole::kPeer;
    plugin::TransportLimits limits;
  };
  void listen(const std::string& url, Listener listener);
  void stop_listening(const std::string& url);

  struct Caller {
    std::string machine;
    Executor* executor = nullptr;
    plugin::Transport* transport = nullptr;
    plugin::TransportLimits limits;
  };
  void dial(const Caller& from, const std::string& url, plugin::Lane lane, plugin::DialEvents* events,
            Dialer::Connected connected, Dialer::Closed closed);

  // ---- What goes wrong. Directions: from one machine to another.
  uint64_t min_delay_ns = 100'000;
  uint64_t max_delay_ns = 300'000;
  void block(const std::string& from, const std::string& to) { blocked_.insert({from, to}); }
  void unblock(const std::string& from, const std::string& to);
  void unblock_all();
  // Both ends of every connection between the two see a reset.
  void reset(const std::string& a, const std::string& b);
  // The next chunk in that direction has one bit flipped.
  void flip_next(const std::string& from, const std::string& to) { flips_.insert({from, to}); }
  // The process on that machine ended: its listeners are gone and its connections closed. Its own sessions
  // are told, too, so that they let go of what they hold.
  void kill(const std::string& machine);

  uint64_t connections() const { return ends_.size() / 2; }
  uint64_t bytes_carried() const { return bytes_; }

 private:
  friend class VirtualConnection;
  bool is_blocked(const std::string& from, const std::string& to) const {
    return blocked_.count({from, to}) != 0;
  }
  uint64_t delay();
  void connect(const Caller& from, const std::string& url, plugin::Lane lane, plugin::DialEvents* events,
               Dialer::Connected connected, Dialer::Closed closed);
  std::vector<plugin::Ref<VirtualConnection>> all() const;
  void send_reset(const std::string& from, plugin::Ref<VirtualConnection> to);
  void kick();  // what waited for a direction that is open again

  std::mt19937_64 random_;
  std::map<std::string, Listener> listeners_;
  std::map<uint64_t, plugin::Ref<VirtualConnection>> ends_;
  std::set<std::pair<std::string, std::string>> blocked_;
  std::set<std::pair<std::string, std::string>> flips_;
  std::vector<std::pair<std::string, plugin::Ref<VirtualConnection>>> owed_resets_;
  uint64_t next_id_ = 1;
  uint64_t bytes_ = 0;
};

// One machine's way to dial.
class VirtualDialer final : public Dialer {
 public:
  VirtualDialer(VirtualNet* net, VirtualNet::Caller caller) : net_(net), caller_(std::move(caller)) {}
  void dial(const std::string& url, plugin::Lane lane, plugin::DialEvents* events, Connected connected,
            Closed closed) override {
    net_->dial(caller_, url, lane, events, std::move(connected), std::move(closed));
  }

 private:
  VirtualNet* net_;
  VirtualNet::Caller caller_;
};

}  // namespace quorate::test
