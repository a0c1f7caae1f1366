#include "server_session.h"

#include <cstring>

#include "grpc_text.h"

namespace quorate::grpc {
namespace {

using plugin::EndCause;
using plugin::Status;

constexpr size_t kMaxSpare = 16;     // call objects an idle connection keeps
constexpr uint64_t kMaxText = 4096;  // bytes of a status text that are sent
constexpr uint64_t kDrainWait =
    5'000'000'000;  // ns, for the answer to the ping between the two GOAWAYs: grpc-go's
constexpr std::string_view kGrpcType = "application/grpc";

std::string_view text(plugin::ByteView v) {
  return v.empty() ? std::string_view() : std::string_view(v.chars(), v.size);
}

std::string_view code_text(uint32_t code) {
  constexpr std::string_view kTexts[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                         "9", "10", "11", "12", "13", "14", "15", "16"};
  return code < sizeof kTexts / sizeof *kTexts ? kTexts[code] : "2";
}

// As grpc-go: "application/grpc", or that followed by '+' or ';' and a subtype; any case. False: not gRPC.
bool read_content_type(std::string_view value, std::string* answer) {
  if (value == kGrpcType) return true;
  if (value.size() <= kGrpcType.size() || value.size() > 128) return false;
  std::string lower(value);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  if (lower.compare(0, kGrpcType.size(), kGrpcType) != 0) return false;
  char next = lower[kGrpcType.size()];
  if (next != '+' && next != ';') return false;
  std::string subtype = lower.substr(kGrpcType.size() + 1);
  if (!subtype.empty()) *answer = std::string(kGrpcType) + "+" + subtype;
  return true;
}

}  // namespace

// ---- ServerCall: what core asks for --------------------

void ServerCall::write(plugin::View<plugin::Buffer> message) noexcept {
  if (!open() || wants_shed || long_left_ != 0) return;
  const uint64_t size = total_size(message);
  if (!admit_message(size)) return;
  out.push(message, size);
  session->written(this);
}

void* ServerCall::query(const char* id) noexcept {
  return std::string_view(id) == plugin::LongMessage::kId ? static_cast<plugin::LongMessage*>(this) : nullptr;
}

void ServerCall::begin(uint64_t size) noexcept {
  if (!open() || wants_shed || long_left_ != 0 || !admit_message(size)) return;
  out.begin(size);
  long_left_ = size;
  session->written(this);
}

void ServerCall::piece(plugin::View<plugin::Buffer> bytes) noexcept {
  if (!open() || wants_shed) return;
  const uint64_t size = total_size(bytes);
  if (size > long_left_) {
    static constexpr std::string_view kWhy = "more bytes than the message was said to have";
    return finish(kGrpcInternal, {kWhy.data(), kWhy.size()}, {});
  }
  out.append(bytes);
  long_left_ -= size;
  session->written(this);
}

// Whether a message of that size may be sent at all; begins the answer.
bool ServerCall::admit_message(uint64_t size) {
  const uint64_t most = session->limits().max_send_message;
  if ((most != 0 && size > most) || size > UINT32_MAX) {
    std::string why = "grpc: trying to send message larger than max (" + std::to_string(size) + " vs. " +
                      std::to_string(most) + ")";
    finish(kGrpcResourceExhausted, {why.data(), why.size()}, {});
    return false;
  }
  if (!started) start_response({});
  return true;
}

void ServerCall::request(uint64_t messages) noexcept {
  if (open()) session->add_credit(this, messages);
}

void ServerCall::headers(plugin::View<plugin::Header> metadata) noexcept {
  if (open() && !started) start_response(metadata);
}

void ServerCall::finish(uint32_t code, plugin::ByteView why, plugin::View<plugin::Header> trailers) noexcept {
  if (!open() || wants_shed) return;
  finishing = discarding = true;
  code_ = code;
  if (!why.empty()) percent_encode(text(why).substr(0, kMaxText), &text_);
  if (!started || out.bytes() == 0) {
    // Nothing of the body is left: the trailers go directly, even when the peer's window is closed.
    end_response(trailers);
  } else {
    for (const plugin::Header& t : trailers) trailers_.emplace_back(text(t.name), text(t.value));
  }
  session->resume(this);
}

void ServerCall::start_response(plugin::View<plugin::Header> metadata) {
  started = true;
  HeaderList& list = session->scratch_headers();
  list.add_static(":status", "200");
  if (content_type_.empty()) {
    list.add_static("content-type", kGrpcType);
  } else {
    list.add("content-type", content_type_);
  }
  list.add_metadata(metadata);
  nghttp2_submit_response(session->http2(), stream_id, list.data(), list.size(), session->body_of(this));
  session->want_flush();
}

void ServerCall::add_status(HeaderList* list) const {
  list->add_static("grpc-status", code_text(code_));
  if (!text_.empty()) list->add("grpc-message", text_);
}

// The last HEADERS: trailers, or the whole answer when there was no other.
void ServerCall::end_response(plugin::View<plugin::Header> trailers) {
  HeaderList& list = session->scratch_headers();
  if (!started) {
    list.add_static(":status", "200");
    if (content_type_.empty()) {
      list.add_static("content-type", kGrpcType);
    } else {
      list.add("content-type", content_type_);
    }
  }
  add_status(&list);
  list.add_metadata(trailers);
  if (started) {
    deferred = false;  // the body stays as it is: nothing will be asked of it again
    nghttp2_submit_trailer(session->http2(), stream_id, list.data(), list.size());
  } else {
    started = true;
    nghttp2_submit_response(session->http2(), stream_id, list.data(), list.size(), nullptr);
  }
}

bool ServerCall::submit_end_of_body() {
  HeaderList& list = session->scratch_headers();
  add_status(&list);
  for (const auto& [name, value] : trailers_) {
    plugin::Header header{{name.data(), name.size()}, {value.data(), value.size()}};
    list.add_metadata({&header, 1});
  }
  nghttp2_submit_trailer(session->http2(), stream_id, list.data(), list.size());
  return true;
}

// An answer to a request that core never sees.
void ServerCall::answer_at_once(uint32_t http_status, uint32_t code, std::string_view why,
                                bool name_encodings) {
  ended = discarding = started = finishing = true;
  HeaderList& list = session->scratch_headers();
  const std::string status = std::to_string(http_status);
  list.add(":status", status);
  list.add("content-type", content_type_.empty() ? kGrpcType : std::string_view(content_type_));
  list.add_static("grpc-status", code_text(code));
  percent_encode(why.substr(0, kMaxText), &text_);
  if (!text_.empty()) list.add("grpc-message", text_);
  if (name_encodings) list.add_static("grpc-accept-encoding", "identity");
  nghttp2_submit_response(session->http2(), stream_id, list.data(), list.size(), nullptr);
  session->want_flush();
}

void ServerCall::reset() {
  reset_call();
  info_ = {};
  content_type_.clear();
  encoding_.clear();
  bad_content_type_.clear();
  method_.clear();
  header_error_ = {};
  hosts_ = 0;
  is_grpc_ = post_ = timeout_set_ = false;
  timeout_ns_ = 0;
  code_ = 0;
  text_.clear();
  trailers_.clear();
  long_left_ = 0;
}

// ---- ServerSession --------------------

Status ServerSession::make(plugin::Connection* connection, const Options& options,
                           plugin::CallHandler* handler, plugin::Session** out) {
  auto session = plugin::Ref<ServerSession>::adopt(new ServerSession(connection, options, handler));
  Status status = session->start();
  if (status.ok()) *out = session.detach();
  return status;
}

ServerSession::~ServerSession() {
  for (ServerCall* call : spare_) call->release_call();
}

Call* ServerSession::begin_call(int32_t stream_id) {
  ServerCall* call = nullptr;
  if (spare_.empty()) {
    call = new ServerCall;
  } else {
    call = spare_.back();
    spare_.pop_back();
  }
  call->stream_id = stream_id;
  return call;
}

bool ServerSession::recycle(Call* call) {
  if (!call->only_reference() || spare_.size() >= kMaxSpare || http2_ == nullptr) return false;
  auto* server_call = static_cast<ServerCall*>(call);
  server_call->reset();
  spare_.push_back(server_call);
  return true;
}

void ServerSession::field(Call* base, std::string_view name, std::string_view value) {
  auto* call = static_cast<ServerCall*>(base);
  switch (name.size()) {
    case 2:
      if (name == "te") return;  // grpc-go does not look at it
      break;
    case 4:
      if (name == "host") {
        ++call->hosts_;
        return call->fields.keep(HeaderBlock::kHost, value);
      }
      break;
    case 5:
      if (name == ":path") return call->fields.keep(HeaderBlock::kPath, value);
      break;
    case 7:
      if (name == ":method") {
        call->post_ = value == "POST";
        if (!call->post_) call->method_ = value.substr(0, 64);
        return;
      }
      if (name == ":scheme") return;
      break;
    case 10:
      if (name == ":authority") return call->fields.keep(HeaderBlock::kAuthority, value);
      break;
    case 12:
      if (name == "content-type") {
        if (read_content_type(value, &call->content_type_)) {
          call->is_grpc_ = true;
          call->fields.add(name, value);
        } else {
          call->bad_content_type_ = value.substr(0, 256);
        }
        return;
      }
      if (name == "grpc-timeout") {
        std::string why;
        call->timeout_set_ = true;
        if (!parse_timeout(value, &call->timeout_ns_, &why)) {
          call->header_error_ = {true, 400, kGrpcInternal, "malformed grpc-timeout: " + why};
        }
        return;
      }
      break;
    case 13:
      if (name == "grpc-encoding") {
        call->encoding_ = value == "identity" ? std::string_view() : value.substr(0, 256);
        return;
      }
      break;
    default:
      break;
  }
  metadata_field(call, name, value);
}

void ServerSession::metadata_field(ServerCall* call, std::string_view name, std::string_view value) {
  if (is_reserved_header(name) && name != "user-agent") return;
  if (!is_binary_header(name)) {
    call->fields.add(name, value);
    return;
  }
  uint8_t* into = call->fields.add_room(name, value.size());
  int64_t size = base64_decode(value, into);
  call->fields.shrink_last(size < 0 ? 0 : static_cast<uint64_t>(size));
  if (size >= 0) return;
  call->header_error_ = {true, 400, kGrpcInternal,
                         "malformed binary metadata " + quoted(value.substr(0, 256)) + " in header " +
                             quoted(name.substr(0, 256)) + ": illegal base64 data"};
}

// The order and the texts are grpc-go's.
bool ServerSession::refused(ServerCall* call) {
  if (call->hosts_ > 1) {
    const char* authorities = call->fields.has(HeaderBlock::kAuthority) ? "1" : "0";
    call->answer_at_once(400, kGrpcInternal,
                         std::string("num values of :authority: ") + authorities +
                             ", num values of host: " + std::to_string(call->hosts_) +
                             ", both must only have 1 value as per HTTP/2 spec");
    return true;
  }
  if (!call->is_grpc_) {
    call->answer_at_once(415, kGrpcInvalidArgument,
                         "invalid gRPC request content-type " + quoted(call->bad_content_type_));
    return true;
  }
  if (call->header_error_.set) {
    call->answer_at_once(call->header_error_.http_status, call->header_error_.code, call->header_error_.text);
    return true;
  }
  if (!call->post_) {
    call->answer_at_once(
        405, kGrpcInternal,
        "Received a HEADERS frame with :method " + quoted(call->method_) + " which should be POST");
    return true;
  }
  if (call->timeout_set_ && call->timeout_ns_ == 0) {
    call->answer_at_once(200, kGrpcDeadlineExceeded, "context deadline exceeded");
    return true;
  }
  std::string_view path = call->fields.text(HeaderBlock::kPath);
  if (path.empty() || path[0] != '/' || path.find('/', 1) == std::string_view::npos) {
    call->answer_at_once(200, kGrpcUnimplemented, "malformed method name: " + quoted(path.substr(0, 256)));
    return true;
  }
  if (!call->encoding_.empty()) {
    call->answer_at_once(200, kGrpcUnimplemented,
                         "grpc: Decompressor is not installed for grpc-encoding " + quoted(call->encoding_),
                         true);
    return true;
  }
  return false;
}

void ServerSession::headers_complete(Call* base, bool end_stream) {
  auto* call = static_cast<ServerCall*>(base);
  if (call->headers_done) {
    if (end_stream) tell_half_close(call);
    return;
  }
  call->headers_done = true;
  if (refused(call)) return;
  hand_over(call);
  if (end_stream && !call->discarding) tell_half_close(call);
}

void ServerSession::hand_over(ServerCall* call) {
  auto bytes = [](std::string_view s) { return plugin::ByteView(s.data(), s.size()); };
  plugin::CallInfo& info = call->info_;
  info.method = bytes(call->fields.text(HeaderBlock::kPath));
  info.authority = bytes(call->fields.text(call->fields.has(HeaderBlock::kAuthority) ? HeaderBlock::kAuthority
                                                                                     : HeaderBlock::kHost));
  info.metadata = call->fields.view();
  if (call->timeout_set_) {
    info.deadline_ns = call->timeout_ns_ > UINT64_MAX - now_ ? UINT64_MAX : now_ + call->timeout_ns_;
  }
  info.connection = connection_.get();
  plugin::StreamReader* reader = nullptr;
  handler_->on_call(info, call, &reader);
  call->reader = reader;
  if (reader == nullptr) {
    call->ended = true;
    call->discarding = true;
    if (!call->finishing) call->answer_at_once(200, kGrpcInternal, "the call was not taken");
  }
}

void ServerSession::refuse_message(Call* base, uint32_t code, std::string_view why) {
  auto* call = static_cast<ServerCall*>(base);
  call->finish(code, {why.data(), why.size()}, {});
  end(call, EndCause::kProtocolError, code, why);
}

void ServerSession::stream_over(Call* base, uint32_t error, bool peer_reset) {
  auto* call = static_cast<ServerCall*>(base);
  if (!call->ended) {
    // Its trailers have left when nothing is queued and the stream did not end by an error.
    bool finished = call->finishing && call->out.bytes() == 0 && error == NGHTTP2_NO_ERROR;
    if (finished) {
      std::string why = call->text_.empty() ? std::string() : percent_decode(call->text_);
      end(call, EndCause::kFinished, call->code_, why);
    } else if (peer_reset) {
      end(call, EndCause::kCancelled, kGrpcCancelled, "context canceled");
    } else {
      end(call, EndCause::kProtocolError, code_of_http2_error(error),
          std::string("the stream was reset: ") + http2_error_name(error));
    }
  }
  detach(call);
}

// Two steps, so that a call that is already on its way when the client learns of it is still served: GOAWAY
// with the highest id and a ping; when the ping comes back (or not, in time), GOAWAY with the last id that we
// serve.
void ServerSession::drain() noexcept {
  if (http2_ == nullptr || draining_ || closing()) return;
  draining_ = true;
  nghttp2_submit_shutdown_notice(http2_);
  nghttp2_submit_ping(http2_, NGHTTP2_FLAG_NONE, kDrainPing);
  drain_deadline_ = connection_->now_ns() + kDrainWait;
  reschedule();
  want_flush();
}

void ServerSession::drain_step() {
  if (drain_final_) return;
  drain_final_ = true;
  nghttp2_submit_goaway(http2_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(http2_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  want_flush();
}

}  // namespace quorate::grpc
