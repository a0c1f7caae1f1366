#include "peer/hello.h"

#include "api/ids.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace quorate::peer {
namespace {

constexpr size_t kMaxText = 256;

std::string finish(const wire::Writer& out) { return std::string(out.view()); }

std::string hex(uint64_t id) { return api::to_hex(id); }

bool read_text(const wire::FieldReader& fields, std::string* out) {
  if (fields.bytes().size() > kMaxText) return false;
  *out = std::string(fields.bytes());
  return true;
}

}  // namespace

std::string encode(const Hello& hello) {
  wire::Writer out(256);
  out.varint_field(1, hello.oldest);
  out.varint_field(2, hello.newest);
  out.varint_field(3, hello.cluster.value);
  out.varint_field(4, hello.from.value);
  out.varint_field(5, hello.to.value);
  out.varint_field(6, static_cast<uint64_t>(hello.lane));
  out.bytes_field(7, hello.node_id);
  out.bytes_field(8, hello.version);
  out.varint_field(9, hello.term.value);
  out.varint_field(10, hello.last_index.value);
  return finish(out);
}

bool decode(std::string_view bytes, Hello* out) {
  *out = Hello{.oldest = 0, .newest = 0};
  wire::FieldReader fields(bytes);
  while (fields.next()) {
    if (fields.is_bytes()) {
      if (fields.number() == 7 && !read_text(fields, &out->node_id)) return false;
      if (fields.number() == 8 && !read_text(fields, &out->version)) return false;
      continue;
    }
    if (!fields.is_varint()) continue;
    const uint64_t v = fields.varint();
    switch (fields.number()) {
      case 1:
        out->oldest = static_cast<uint32_t>(std::min<uint64_t>(v, UINT32_MAX));
        break;
      case 2:
        out->newest = static_cast<uint32_t>(std::min<uint64_t>(v, UINT32_MAX));
        break;
      case 3:
        out->cluster = ClusterId(v);
        break;
      case 4:
        out->from = MemberId(v);
        break;
      case 5:
        out->to = MemberId(v);
        break;
      case 6:
        if (v > static_cast<uint64_t>(plugin::Lane::kBulk)) return false;
        out->lane = static_cast<plugin::Lane>(v);
        break;
      case 9:
        out->term = Term(v);
        break;
      case 10:
        out->last_index = Index(v);
        break;
      default:
        break;
    }
  }
  return fields.ok();
}

std::string encode(const Welcome& welcome) {
  wire::Writer out(128);
  out.varint_field(1, welcome.version);
  out.bytes_field(2, welcome.node_id);
  out.bytes_field(3, welcome.software);
  out.varint_field(4, welcome.known_term.value);
  out.varint_field(5, welcome.known_index.value);
  return finish(out);
}

bool decode(std::string_view bytes, Welcome* out) {
  *out = Welcome();
  wire::FieldReader fields(bytes);
  while (fields.next()) {
    if (fields.is_bytes()) {
      if (fields.number() == 2 && !read_text(fields, &out->node_id)) return false;
      if (fields.number() == 3 && !read_text(fields, &out->software)) return false;
      continue;
    }
    if (!fields.is_varint()) continue;
    if (fields.number() == 1)
      out->version = static_cast<uint32_t>(std::min<uint64_t>(fields.varint(), UINT32_MAX));
    if (fields.number() == 4) out->known_term = Term(fields.varint());
    if (fields.number() == 5) out->known_index = Index(fields.varint());
  }
  return fields.ok();
}

std::optional<api::RpcError> judge(const Hello& hello, ClusterId cluster, MemberId self,
                                   bool caller_was_removed, uint32_t* version) {
  using api::GrpcCode;
  auto refuse = [](std::string text) {
    return api::RpcError{GrpcCode::kFailedPrecondition, std::move(text)};
  };
  if (hello.oldest > kNewestVersion || hello.newest < kOldestVersion || hello.oldest > hello.newest) {
    return refuse("peer protocol versions " + std::to_string(hello.oldest) + " to " +
                  std::to_string(hello.newest) + " are not spoken here, but " +
                  std::to_string(kOldestVersion) + " to " + std::to_string(kNewestVersion));
  }
  if (hello.cluster != cluster) {
    return refuse("cluster ID mismatch: the caller's is " + hex(hello.cluster.value) + ", this member's is " +
                  hex(cluster.value));
  }
  if (hello.to != self) {
    return refuse("member " + hex(hello.to.value) + " was called, and this is member " + hex(self.value));
  }
  if (hello.from == self || hello.from == MemberId()) {
    return refuse("the caller says that it is member " + hex(hello.from.value) + ", which it cannot be");
  }
  if (caller_was_removed) return api::RpcError{GrpcCode::kPermissionDenied, std::string(kRemovedText)};
  *version = std::min(hello.newest, kNewestVersion);
  return std::nullopt;
}

}  // namespace quorate::peer
