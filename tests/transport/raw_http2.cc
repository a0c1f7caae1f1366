#include "transport/raw_http2.h"

#include <gtest/gtest.h>
#include <malloc.h>

namespace quorate::test {
std::string Frame::get(std::string_view name) const {
  for (const auto& [n, v] : fields) {
    if (n == name) return v;
  }
  return "(none)";
}

uint32_t Frame::number(size_t offset) const {
  uint32_t n = 0;
  for (size_t i = 0; i < 4; ++i) n = n << 8 | static_cast<uint8_t>(payload.at(offset + i));
  return n;
}

void parse_frames(std::string* bytes, nghttp2_hd_inflater* inflater, std::vector<Frame>* out) {
  while (bytes->size() >= 9) {
    auto byte = [&](size_t i) { return static_cast<uint8_t>((*bytes)[i]); };
    size_t size = static_cast<size_t>(byte(0)) << 16 | static_cast<size_t>(byte(1)) << 8 | byte(2);
    if (bytes->size() < 9 + size) return;
    Frame f;
    f.type = byte(3);
    f.flags = byte(4);
    f.stream = static_cast<uint32_t>(byte(5) & 0x7f) << 24 | static_cast<uint32_t>(byte(6)) << 16 |
               static_cast<uint32_t>(byte(7)) << 8 | byte(8);
    f.payload = bytes->substr(9, size);
    bytes->erase(0, 9 + size);
    if (f.type == kHeaders) {
      const auto* in = reinterpret_cast<const uint8_t*>(f.payload.data());
      size_t left = f.payload.size();
      for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
        nghttp2_nv nv{};
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);
        if (used < 0) break;
        in += used;
        left -= static_cast<size_t>(used);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
          f.fields.emplace_back(std::string(reinterpret_cast<char*>(nv.name), nv.namelen),
                                std::string(reinterpret_cast<char*>(nv.value), nv.valuelen));
        }
      }
      nghttp2_hd_inflate_end_headers(inflater);
    }
    out->push_back(std::move(f));
  }
}

RawServer::RawServer(plugin::TransportLimits limits, std::vector<std::pair<std::string, std::string>> options,
                     bool shake_hands)
    : connection(plugin::make<FakeConnection>(limits)),
      transport_(load_transport(QUORATE_BINARY_DIR, std::move(options))) {
  nghttp2_hd_inflate_new(&inflater_);
  plugin::Session* session = nullptr;
  EXPECT_TRUE(transport_->serve(connection.get(), &handler, &session).ok());
  connection->attach(session);
  if (!shake_hands) return;
  send(std::string(kPreface) + frame(kSettings, 0, 0));
  send(frame(kSettings, kAck, 0));
}

RawServer::~RawServer() {
  connection->lose();
  nghttp2_hd_inflate_del(inflater_);
}

bool RawServer::send(std::string_view bytes, uint64_t piece) {
  bool ok = connection->feed(bytes, piece) && connection->turn();
  collect();
  return ok;
}

void RawServer::collect() {
  pending_ += connection->take();
  parse_frames(&pending_, inflater_, &frames_);
}

const Frame* RawServer::find(uint8_t type, uint32_t stream) const {
  for (const Frame& f : frames_) {
    if (f.type == type && (stream == UINT32_MAX || f.stream == stream)) return &f;
  }
  return nullptr;
}

const Frame* RawServer::answer(uint32_t stream) const {
  const Frame* last = nullptr;
  for (const Frame& f : frames_) {
    if (f.type == kHeaders && f.stream == stream) last = &f;
  }
  return last;
}

bool RawServer::goaway(uint32_t code, std::string_view debug) const {
  for (const Frame& f : frames_) {
    if (f.type == kGoaway && f.number(4) == code && f.payload.substr(8) == debug) return true;
  }
  return false;
}

uint64_t heap_bytes() {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace quorate::test
