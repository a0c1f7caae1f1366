#include "transport/raw_tcp.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/crc32c.h"

namespace quorate::test::tcp {
namespace {

template <typename T>
std::string little(T n) {
  std::string s;
  for (size_t i = 0; i < sizeof n; ++i) s += static_cast<char>(n >> (8 * i));
  return s;
}

uint32_t read32(std::string_view s, size_t at) {
  uint32_t n = 0;
  for (size_t i = 0; i < 4; ++i) n |= static_cast<uint32_t>(static_cast<uint8_t>(s[at + i])) << (8 * i);
  return n;
}

// Both sums of the frame that `bytes` is.
void seal(uint32_t number, std::string* bytes) {
  const uint32_t head = crc32c(bytes->data() + 4, 10, number);
  const uint32_t all = crc32c(bytes->data() + kHead, bytes->size() - kHead, head);
  bytes->replace(0, 4, u32(all));
  bytes->replace(14, 2, u16(static_cast<uint16_t>(head ^ head >> 16)));
}

}  // namespace

std::string u16(uint16_t n) { return little(n); }
std::string u32(uint32_t n) { return little(n); }
std::string u64(uint64_t n) { return little(n); }
std::string text16(std::string_view s) { return u16(static_cast<uint16_t>(s.size())) + std::string(s); }
std::string text32(std::string_view s) { return u32(static_cast<uint32_t>(s.size())) + std::string(s); }

std::string fields(const Metadata& headers) {
  std::string out = u16(static_cast<uint16_t>(headers.size()));
  for (const auto& [name, value] : headers) out += text16(name) + text32(value);
  return out;
}

std::string hello(const HelloFields& f) {
  const std::string rest =
      u32(f.version) + u32(f.max_frame) + u32(f.window_bytes) + u32(f.window_messages) + u32(f.max_calls);
  return f.magic + u32(crc32c(rest.data(), rest.size())) + rest;
}

std::string frame(uint32_t number, uint8_t type, uint8_t flags, uint32_t call, std::string_view payload) {
  std::string out = u32(0) + u32(static_cast<uint32_t>(payload.size())) + u32(call);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  out += u16(0);
  out += payload;
  seal(number, &out);
  return out;
}

std::string open_payload(std::string_view method, const Metadata& metadata, uint64_t remaining_ns) {
  return u64(remaining_ns) + text16(method) + text16("a:1") + fields(metadata);
}

std::string finish_payload(uint32_t code, std::string_view why, const Metadata& trailers) {
  return u32(code) + text32(why) + fields(trailers);
}

uint32_t Frame::number(size_t offset) const {
  return offset + 4 > payload.size() ? 0xdeadbeef : read32(payload, offset);
}

std::string repaired(std::string bytes) {
  if (bytes.size() < kHello) return bytes;
  uint32_t number = 0;
  for (size_t at = kHello; at + kHead <= bytes.size(); ++number) {
    const auto left = static_cast<uint32_t>(bytes.size() - at - kHead);
    const uint32_t length = std::min(read32(bytes, at + 4), std::min<uint32_t>(left, 65536));
    std::string one = bytes.substr(at, kHead + length);
    one.replace(4, 4, u32(length));
    seal(number, &one);
    bytes.replace(at, one.size(), one);
    at += one.size();
  }
  return bytes;
}

namespace {

std::vector<Frame> split(std::string_view bytes) {
  std::vector<Frame> out;
  for (size_t at = kHello; at + kHead <= bytes.size();) {
    const uint32_t length = read32(bytes, at + 4);
    if (length > bytes.size() - at - kHead) break;
    out.push_back({static_cast<uint8_t>(bytes[at + 12]), static_cast<uint8_t>(bytes[at + 13]),
                   read32(bytes, at + 8), std::string(bytes.substr(at + kHead, length))});
    at += kHead + length;
  }
  return out;
}

void change(std::vector<Frame>* frames, std::mt19937_64* random) {
  auto pick = [&](size_t n) { return (*random)() % n; };
  const size_t at = pick(frames->size());
  Frame one = (*frames)[at];
  switch (pick(7)) {
    case 0:
      frames->insert(frames->begin() + static_cast<int64_t>(pick(frames->size() + 1)), one);
      return;
    case 1:
      if (frames->size() > 1) frames->erase(frames->begin() + static_cast<int64_t>(at));
      return;
    case 2:
      std::swap((*frames)[at], (*frames)[pick(frames->size())]);
      return;
    case 3:
      one.call = pick(8) == 0 ? static_cast<uint32_t>((*random)()) : static_cast<uint32_t>(pick(8));
      break;
    case 4:
      one.type = static_cast<uint8_t>(pick(12));
      break;
    case 5:
      one.flags = static_cast<uint8_t>(pick(4));
      break;
    default:
      if (one.payload.empty()) return;
      one.payload[pick(one.payload.size())] = static_cast<char>(pick(256));
      if (pick(3) == 0) one.payload.resize(pick(one.payload.size()));
      break;
  }
  (*frames)[at] = one;
}

}  // namespace

std::string shuffled(std::string_view bytes, std::mt19937_64* random) {
  std::vector<Frame> frames = split(bytes);
  for (uint64_t edits = 1 + (*random)() % 4; edits > 0; --edits) change(&frames, random);
  std::string out(bytes.substr(0, kHello));
  uint32_t number = 0;
  for (const Frame& f : frames) out += frame(number++, f.type, f.flags, f.call, f.payload);
  return out;
}

// ---- Raw --------------------

Raw::Raw(bool server, plugin::TransportLimits limits,
         std::vector<std::pair<std::string, std::string>> options, bool shake_hands)
    : connection(plugin::make<FakeConnection>(limits)),
      transport_(load_transport(QUORATE_BINARY_DIR, std::move(options), kTcp)) {
  if (server) {
    plugin::Session* session = nullptr;
    EXPECT_TRUE(transport_->serve(connection.get(), &handler, &session).ok());
    connection->attach(session);
  } else {
    plugin::DialInfo dial;
    dial.authority = view("server:1");
    EXPECT_TRUE(transport_->dial(connection.get(), dial, &client).ok());
    connection->attach(client);
  }
  if (shake_hands) send(hello());
}

Raw::~Raw() { connection->lose(); }

bool Raw::send(std::string_view bytes, uint64_t piece) {
  const bool ok = connection->feed(bytes, piece) && connection->turn();
  collect();
  return ok && !connection->close_asked();
}

void Raw::collect() {
  connection->turn();
  pending_ += connection->take();
  if (said_hello.empty() && pending_.size() >= kHello) {
    said_hello = pending_.substr(0, kHello);
    pending_.erase(0, kHello);
  }
  while (pending_.size() >= kHead) {
    const uint32_t length = read32(pending_, 4);
    if (pending_.size() < kHead + length) return;
    Frame f{static_cast<uint8_t>(pending_[12]), static_cast<uint8_t>(pending_[13]), read32(pending_, 8),
            pending_.substr(kHead, length)};
    EXPECT_EQ(pending_.substr(0, kHead + length), frame(expected_++, f.type, f.flags, f.call, f.payload))
        << "a frame of the plugin's with other sums";
    frames.push_back(std::move(f));
    pending_.erase(0, kHead + length);
  }
}

const Frame* Raw::find(uint8_t type, uint32_t call) const {
  for (const Frame& f : frames) {
    if (f.type == type && (call == UINT32_MAX || f.call == call)) return &f;
  }
  return nullptr;
}

void Raw::open() {
  reader = plugin::make<Recorder>();
  plugin::CallInfo info;
  info.method = view("/p.S/M");
  writer.reset();
  status = client->open_call(info, reader.get(), writer.out());
  if (!status.ok()) return;
  write(writer.get(), "question");
  writer->half_close();
  collect();
}

}  // namespace quorate::test::tcp
