// A Watch stream as a client holds it.
#pragma once

#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/node_rig.h"

namespace quorate::test {

using Create = api::WatchCreateRequest;

class WatchClient {
 public:
  explicit WatchClient(NodeRig& rig, plugin::Connection* connection = nullptr)
      : call_(rig.open("/etcdserverpb.Watch/Watch", {}, 0, connection)) {}

  ClientCall& call() { return *call_; }
  // Requests wait here for the server's credit, as they do in a client's transport.
  void send(const api::WatchRequest& request) {
    waiting_.push_back(wire::encode_to_string(request));
    flush();
  }
  void create(const Create& create) {
    api::WatchRequest request;
    request.set_create_request(&create);
    send(request);
  }
  void cancel(int64_t id) {
    const api::WatchCancelRequest cancel{.watch_id = id};
    api::WatchRequest request;
    request.set_cancel_request(&cancel);
    send(request);
  }
  void ask_progress() {
    const api::WatchProgressRequest progress;
    api::WatchRequest request;
    request.set_progress_request(&progress);
    send(request);
  }
  void flush() {
    while (call_->credit > 0 && !waiting_.empty() && !call_->ended) {
      --call_->credit;
      const std::string bytes = std::move(waiting_.front());
      waiting_.pop_front();
      call_->reader->on_message(plugin::Buffer::copy_of({bytes.data(), bytes.size()}));
    }
  }
  void read_on() {
    call_->read_on();
    flush();
  }

  // The oldest response that was not looked at yet; it lives until the next call.
  bool has_response() const { return taken_ < call_->messages.size(); }
  api::WatchResponse take() {
    if (!has_response()) throw std::runtime_error("no response; " + call_->text);
    bytes_ = std::exchange(call_->messages[taken_++], std::string());
    if (!has_response()) {
      call_->messages.clear();
      taken_ = 0;
    }
    arena_ = std::make_unique<wire::Arena>();
    api::WatchResponse response;
    if (wire::decode(&response, bytes_, *arena_) != wire::DecodeError::kNone || response.header == nullptr) {
      throw std::runtime_error("undecodable watch response");
    }
    return response;
  }
  size_t response_bytes() const { return bytes_.size(); }  // of the one taken last

 private:
  plugin::Ref<ClientCall> call_;
  std::deque<std::string> waiting_;
  std::string bytes_;
  std::unique_ptr<wire::Arena> arena_;
  size_t taken_ = 0;
};

}  // namespace quorate::test
