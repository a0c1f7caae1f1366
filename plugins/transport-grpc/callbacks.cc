#include "callbacks.h"

namespace quorate::grpc {
namespace {

SessionCore* self(void* user) { return static_cast<SessionCore*>(user); }

std::string_view text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Out of memory is the only exception below; nghttp2 then fails the session and the host closes the
// connection.
template <typename F>
auto contained(F&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
}

}  // namespace

ssize_t Callbacks::read_body(nghttp2_session*, int32_t, uint8_t*, size_t room, uint32_t* flags,
                             nghttp2_data_source* source, void* user) {
  return contained([&] { return self(user)->read_body(static_cast<Call*>(source->ptr), room, flags); });
}

nghttp2_session_callbacks* Callbacks::make() {
  nghttp2_session_callbacks* c = nullptr;
  if (nghttp2_session_callbacks_new(&c) != 0) return nullptr;
  nghttp2_session_callbacks_set_on_begin_frame_callback(
      c, [](nghttp2_session*, const nghttp2_frame_hd* frame, void* user) {
        return contained([&] { return self(user)->frame_begins(*frame); });
      });
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      c, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return contained([&] { return self(user)->headers_begin(*frame); });
      });
  nghttp2_session_callbacks_set_on_header_callback(
      c, [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
            const uint8_t* value, size_t value_size, uint8_t, void* user) {
        return contained(
            [&] { return self(user)->header(*frame, text(name, name_size), text(value, value_size)); });
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      c, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return contained([&] { return self(user)->frame_received(*frame); });
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      c, [](nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* data, size_t size, void* user) {
        return contained([&] { return self(user)->body(stream_id, data, size); });
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      c, [](nghttp2_session*, int32_t stream_id, uint32_t error, void* user) {
        return contained([&] { return self(user)->stream_closed(stream_id, error); });
      });
  nghttp2_session_callbacks_set_on_frame_send_callback(
      c, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return contained([&] { return self(user)->frame_sent(*frame); });
      });
  nghttp2_session_callbacks_set_on_frame_not_send_callback(
      c, [](nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
        return contained([&] { return self(user)->frame_not_sent(*frame, error); });
      });
  nghttp2_session_callbacks_set_send_data_callback(
      c, [](nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header, size_t size,
            nghttp2_data_source* source, void* user) {
        return contained(
            [&] { return self(user)->send_body(static_cast<Call*>(source->ptr), frame_header, size); });
      });
  return c;
}

}  // namespace quorate::grpc
