#include "wal/metadata.h"

#include <bit>
#include <cereal/archives/binary.hpp>
#include <sstream>

namespace quorate::wal {
namespace {

// The archive writes numbers as the machine has them, and the log's are little-endian.
static_assert(std::endian::native == std::endian::little, "give the metadata record a portable archive");

// A string of at most kMaxBlobBytes.
struct Text {
  std::string& text;

  template <class Archive>
  void save(Archive& archive) const {
    archive(static_cast<uint64_t>(text.size()));
    archive.saveBinary(text.data(), static_cast<std::streamsize>(text.size()));
  }
  template <class Archive>
  void load(Archive& archive) {
    uint64_t size = 0;
    archive(size);
    if (size > kMaxBlobBytes) throw cereal::Exception("a text is too long");
    text.resize(size);
    archive.loadBinary(text.data(), static_cast<std::streamsize>(size));
  }
};

template <class Archive>
void serialize_metadata(Archive& archive, Metadata& m) {
  archive(m.cluster.value, m.member.value);
  archive(Text{m.node_id});
  archive(Text{m.config});
}

}  // namespace

std::string encode(const Metadata& metadata) {
  Metadata copy = metadata;
  std::ostringstream out;
  {
    cereal::BinaryOutputArchive archive(out);
    serialize_metadata(archive, copy);
  }
  return std::move(out).str();
}

bool decode(plugin::ByteView body, Metadata* out) {
  std::istringstream in(std::string(body.chars(), body.size));
  try {
    cereal::BinaryInputArchive archive(in);
    serialize_metadata(archive, *out);
  } catch (const cereal::Exception&) {
    return false;
  }
  return in.peek() == std::istringstream::traits_type::eof();
}

}  // namespace quorate::wal
