#include "peer/peers.h"

#include <utility>
#include <variant>

#include "api/ids.h"
#include "wire/json.h"

namespace quorate::peer {

using plugin::Lane;
using plugin::Status;

struct Peers::Peer {
  std::unique_ptr<Link> control;
  std::unique_ptr<Link> append;
  uint64_t connected_since_ns = 0;
  std::string last_complaint;  // logged once until it changes
};

Peers::Peers(const Runtime& runtime, Dialer& dialer, Self self, Hooks hooks)
    : runtime_(runtime),
      dialer_(dialer),
      self_(std::move(self)),
      hooks_(std::move(hooks)),
      acceptor_(
          {.on_hello = [this](const Hello& hello, Welcome* welcome) { return judge_hello(hello, welcome); },
           .on_message = [this](MemberId from, raft::Message m) { hooks_.on_message(from, std::move(m)); },
           .on_request =
               [this](Request request, Answer answer) {
                 return hooks_.on_request(std::move(request), std::move(answer));
               },
           .on_damage =
               [this](MemberId from, const char* what) {
                 say(LogLevel::kError, "a frame arrived damaged; the connection is closed", from, what);
               }}) {}

Peers::~Peers() = default;

void Peers::set(MemberId member, const std::vector<std::string>& urls) {
  if (member == self_.member || stopped_) return;
  auto& peer = peers_[member];
  if (!peer) {
    peer = std::make_unique<Peer>();
    peer->control = link_to(member, Lane::kControl);
    peer->append = link_to(member, Lane::kAppend);
  }
  peer->control->set_urls(urls);
  peer->append->set_urls(urls);
}

void Peers::remove(MemberId member, bool removed) {
  if (removed) removed_.insert(member);
  if (auto at = peers_.find(member); at != peers_.end()) {
    // A hook of one of its links may have brought us here.
    at->second->control->set_urls({});
    at->second->append->set_urls({});
    forgotten_.push_back(std::move(at->second));
    peers_.erase(at);
    runtime_.executor->defer([this] { forgotten_.clear(); });
  }
  if (removed) acceptor_.disconnect(member);
}

Hello Peers::hello_to(MemberId member, Lane lane) const {
  const Promised own = hooks_.own_promises();
  return {.cluster = self_.cluster,
          .from = self_.member,
          .to = member,
          .lane = lane,
          .node_id = self_.node_id,
          .version = self_.software,
          .term = own.term,
          .last_index = own.last_index};
}

std::unique_ptr<Link> Peers::link_to(MemberId member, Lane lane) {
  Link::Hooks hooks;
  hooks.hello = [this, member, lane] { return hello_to(member, lane); };
  hooks.on_open = [this, member, lane](const Welcome& welcome) {
    auto at = peers_.find(member);
    if (at == peers_.end()) return;
    at->second->last_complaint.clear();
    if (lane != Lane::kControl) return;
    at->second->connected_since_ns = runtime_.executor->clock().monotonic_ns();
    say(LogLevel::kInfo, "connected to a member", member, "");
    if (hooks_.on_welcome) hooks_.on_welcome(member, welcome);
  };
  hooks.on_down = [this, member, lane](const Status& why, bool was_open, bool is_refused) {
    link_down(member, lane, why, was_open, is_refused);
  };
  hooks.on_refused = [this, member](const api::RpcError& error) { refused(member, error); };
  return std::make_unique<Link>(runtime_, dialer_, lane, std::move(hooks));
}

void Peers::link_down(MemberId member, Lane lane, const Status& why, bool was_open, bool is_refused) {
  auto at = peers_.find(member);
  if (at == peers_.end()) return;
  Peer& peer = *at->second;
  if (lane == Lane::kControl) peer.connected_since_ns = 0;
  if (std::exchange(peer.last_complaint, why.text()) != why.text()) {
    say(LogLevel::kWarn, was_open ? "lost the connection to a member" : "no connection to a member", member,
        why.text());
  }
  if (was_open && hooks_.on_unreachable) hooks_.on_unreachable(member);
  if (is_refused && lane == Lane::kControl && hooks_.on_gone) hooks_.on_gone(member);
}

void Peers::refused(MemberId member, const api::RpcError& error) {
  auto at = peers_.find(member);
  if (at == peers_.end()) return;
  if (std::exchange(at->second->last_complaint, error.text) != error.text) {
    say(LogLevel::kError, "a member refuses this one", member, error.text);
  }
  if (error.grpc_code == api::GrpcCode::kPermissionDenied && error.text == kRemovedText &&
      hooks_.on_removed) {
    hooks_.on_removed(member);
  }
}

std::optional<api::RpcError> Peers::judge_hello(const Hello& hello, Welcome* welcome) {
  auto error = judge(hello, self_.cluster, self_.member, removed_.count(hello.from) != 0, &welcome->version);
  if (error) {
    // Whoever is refused comes again, and says the same.
    if (std::exchange(last_refusal_, error->text) != error->text) {
      say(LogLevel::kWarn, "refused a peer connection", hello.from, error->text);
    }
    return error;
  }
  welcome->node_id = self_.node_id;
  welcome->software = self_.software;
  const Promised known = hooks_.remembered(hello.from);
  welcome->known_term = known.term;
  welcome->known_index = known.last_index;
  if (hooks_.on_greeted) hooks_.on_greeted(hello.from, hello);
  return std::nullopt;
}

void Peers::send(raft::Envelope envelope) {
  auto at = peers_.find(envelope.to);
  if (at == peers_.end()) return;
  const bool appends = std::holds_alternative<raft::AppendEntries>(envelope.message);
  Link& link = appends ? *at->second->append : *at->second->control;
  // Raft probes again by itself after a heartbeat's answer; what the append lane lost it should know at once.
  if (!link.send(envelope.message) && appends && hooks_.on_unreachable) hooks_.on_unreachable(envelope.to);
}

void Peers::flush() {
  for (auto& [member, peer] : peers_) {
    peer->control->flush();
    peer->append->flush();
  }
}

void Peers::call(MemberId to, std::string_view method, plugin::Buffer request, uint64_t deadline_ns,
                 Reply done) {
  auto at = peers_.find(to);
  if (at != peers_.end())
    return at->second->control->call(method, std::move(request), deadline_ns, std::move(done));
  auto shared = std::make_shared<Reply>(std::move(done));
  runtime_.executor->post([shared] {
    (*shared)({api::GrpcCode::kUnavailable, "there is no such member"}, plugin::Buffer());
  });
}

uint64_t Peers::connected_since_ns(MemberId member) const {
  auto at = peers_.find(member);
  return at == peers_.end() ? 0 : at->second->connected_since_ns;
}

void Peers::stop(const api::RpcError& why) {
  stopped_ = true;
  while (!peers_.empty()) remove(peers_.begin()->first, false);
  acceptor_.stop(why);
}

void Peers::say(LogLevel level, std::string_view message, MemberId member, std::string_view detail) {
  if (runtime_.log == nullptr || !runtime_.log->enabled(level)) return;
  std::string fields = "{\"remote-peer-id\":";
  wire::append_json_string(api::to_hex(member.value), &fields);
  if (!detail.empty()) {
    fields += ",\"detail\":";
    wire::append_json_string(detail, &fields);
  }
  fields += "}";
  runtime_.log->write(level, {message.data(), message.size()}, {fields.data(), fields.size()});
}

}  // namespace quorate::peer
