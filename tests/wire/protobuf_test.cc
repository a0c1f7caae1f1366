// The codec against libprotobuf: the same tables, the same bytes, the same verdict on damaged bytes.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <set>

#include "wire/codec.h"
#include "wire/random_message.h"

namespace quorate::wire {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kMapMessage = "grpc.health.v1.HealthListResponse";

// The messages that stand alone. A map's entry does not: protobuf serializes it only as a part of its map.
std::vector<const MessageTable*> whole_messages() {
  std::vector<const MessageTable*> out;
  for (const MessageTable* table : all_tables())
    if (!new_protobuf(*table)->GetDescriptor()->options().map_entry()) out.push_back(table);
  return out;
}

// A zeroed struct of any table.
class AnyMessage {
 public:
  explicit AnyMessage(const MessageTable& table) : table_(table), bytes_(table.size / sizeof(uint64_t) + 1) {}
  void* get() { return bytes_.data(); }
  DecodeError decode(std::string_view bytes, Arena& arena) { return merge(table_, get(), bytes, arena); }
  std::string encoded() {
    Writer w;
    encode(table_, get(), w);
    EXPECT_EQ(w.size(), encoded_size(table_, get())) << table_.name;
    return std::string(w.view());
  }

 private:
  const MessageTable& table_;
  std::vector<uint64_t> bytes_;
};

Kind kind_of(const FieldDescriptor* d) {
  switch (d->type()) {
    case FieldDescriptor::TYPE_INT64:
      return Kind::kInt64;
    case FieldDescriptor::TYPE_UINT64:
      return Kind::kUint64;
    case FieldDescriptor::TYPE_UINT32:
      return Kind::kUint32;
    case FieldDescriptor::TYPE_BOOL:
      return Kind::kBool;
    case FieldDescriptor::TYPE_ENUM:
      return Kind::kEnum;
    case FieldDescriptor::TYPE_STRING:
      return Kind::kString;
    case FieldDescriptor::TYPE_BYTES:
      return Kind::kBytes;
    default:
      return Kind::kMessage;
  }
}

void expect_same_enum(const Field& f, const google::protobuf::EnumDescriptor* d) {
  ASSERT_NE(f.enumeration, nullptr) << f.name;
  ASSERT_EQ(f.enumeration->count, static_cast<size_t>(d->value_count())) << d->full_name();
  for (int i = 0; i < d->value_count(); i++)
    EXPECT_EQ(f.enumeration->name_of(d->value(i)->number()), d->value(i)->name()) << d->full_name();
}

TEST(Tables, DescribeTheProtos) {
  std::set<std::string> files;
  size_t messages = 0;
  for (const MessageTable* table : all_tables()) {
    SCOPED_TRACE(table->name);
    auto m = new_protobuf(*table);
    const auto* d = m->GetDescriptor();
    if (files.insert(d->file()->name()).second)
      messages += static_cast<size_t>(d->file()->message_type_count());
    ASSERT_EQ(table->count, static_cast<uint32_t>(d->field_count()));
    uint32_t last = 0;
    for (const Field& f : *table) {
      EXPECT_GT(f.number, last) << "fields go by number";
      last = f.number;
      EXPECT_EQ(table->find(f.number), &f);
      const FieldDescriptor* fd = d->FindFieldByNumber(static_cast<int>(f.number));
      ASSERT_NE(fd, nullptr) << f.name;
      EXPECT_EQ(f.name, fd->name());
      EXPECT_EQ(f.kind, kind_of(fd)) << f.name;
      EXPECT_EQ(f.repeated, fd->is_repeated()) << f.name;
      EXPECT_EQ(f.in_oneof(), fd->real_containing_oneof() != nullptr) << f.name;
      if (f.in_oneof()) {
        EXPECT_EQ(f.oneof, fd->real_containing_oneof()->name());
      }
      if (f.kind == Kind::kMessage) {
        EXPECT_EQ(f.message->name, fd->message_type()->full_name());
      }
      if (f.kind == Kind::kEnum) expect_same_enum(f, fd->enum_type());
    }
  }
  // Tables of nested messages (a map's entry) are not counted among a file's messages.
  EXPECT_EQ(messages, all_tables().size() - 1) << "a proto message has no table, or the other way round";
}

TEST(Codec, WritesTheBytesOfProtobuf) {
  RandomMessages random(test_seed());
  SCOPED_TRACE(testing::Message() << "QUORATE_SEED=" << test_seed());
  size_t empty = 0, large = 0, total = 0;
  for (const MessageTable* table : whole_messages()) {
    auto m = new_protobuf(*table);
    for (int i = rounds(2000, 100000); i > 0; i--) {
      m->Clear();
      random.fill(m.get(), {});
      std::string bytes = m->SerializeAsString();
      total++, empty += bytes.empty(), large += bytes.size() > 1000;
      Arena arena;
      AnyMessage decoded(*table), copied(*table);
      ASSERT_EQ(decoded.decode(bytes, arena), DecodeError::kNone)
          << table->name << " " << m->ShortDebugString();
      ASSERT_EQ(decoded.encoded(), bytes) << table->name << " " << m->ShortDebugString();
      copy_to_struct(*m, *table, copied.get(), arena);
      ASSERT_EQ(copied.encoded(), bytes) << table->name << " " << m->ShortDebugString();
    }
  }
  EXPECT_LT(empty, total / 2);
  EXPECT_GT(large, total / 200);
}

// Damages that parsers are known to differ on, put at random places.
class Mutator {
 public:
  explicit Mutator(RandomMessages& random) : random_(random) {}

  void mutate(std::string* s, const std::string& other) {
    for (uint64_t n = 1 + random_.below(3); n > 0; n--) once(s, other);
  }

 private:
  size_t place(const std::string& s) { return random_.below(s.size() + 1); }
  void once(std::string* s, const std::string& other) {
    size_t at = place(*s);
    switch (random_.below(9)) {
      case 0:
        s->resize(at);
        return;
      case 1:
        if (at < s->size()) (*s)[at] = static_cast<char>((*s)[at] ^ 1 << random_.below(8));
        return;
      case 2:
        s->insert(at, 1, static_cast<char>(random_.integer()));
        return;
      case 3:
        s->erase(at, random_.below(4));
        return;
      case 4:
        s->insert(at, other.substr(place(other)));
        return;
      case 5:
        s->insert(at, field());
        return;
      case 6:
        *s = field() + *s + field();
        return;
      case 7:
        s->insert(at, std::string(random_.below(12), '\xff') + '\x01');
        return;
      default:
        *s += *s;
        return;
    }
  }
  // One field of any number and wire type, well-formed or nearly so.
  std::string field() {
    Writer w;
    auto number = static_cast<uint32_t>(random_.one_in(8) ? random_.below(100) : random_.below(16));
    auto type = static_cast<WireType>(random_.below(8));
    w.tag(number, type);
    switch (type) {
      case WireType::kVarint:
        w.varint(random_.integer());
        break;
      case WireType::kFixed64:
        w.append("12345678");
        break;
      case WireType::kFixed32:
        w.append("1234");
        break;
      case WireType::kBytes: {
        std::string b = random_.one_in(2) ? random_.bytes() : random_.text(false);
        w.varint(b.size());
        w.append(b);
        break;
      }
      case WireType::kGroup:
        if (random_.one_in(2)) w.append(field());
        w.tag(number, WireType::kEndGroup);
        break;
      default:
        break;
    }
    return std::string(w.view());
  }
  RandomMessages& random_;
};

TEST(Codec, JudgesDamagedBytesAsProtobufDoes) {
  google::protobuf::SetLogHandler(nullptr);
  RandomMessages random(test_seed());
  Mutator mutator(random);
  SCOPED_TRACE(testing::Message() << "QUORATE_SEED=" << test_seed());
  size_t accepted = 0, refused = 0;
  for (const MessageTable* table : whole_messages()) {
    auto m = new_protobuf(*table);
    std::string other;
    for (int i = rounds(2000, 100000); i > 0; i--) {
      m->Clear();
      random.fill(m.get(), {});
      std::string bytes = m->SerializeAsString();
      mutator.mutate(&bytes, other);
      if (bytes.size() > 100000) bytes.resize(100000);
      other = bytes.substr(0, 1000);
      bool ok = m->ParseFromString(bytes);
      Arena arena;
      AnyMessage ours(*table);
      DecodeError error = ours.decode(bytes, arena);
      ok ? accepted++ : refused++;
      ASSERT_EQ(error == DecodeError::kNone, ok) << table->name << " " << testing::PrintToString(bytes);
      std::string encoded = ours.encoded();  // whatever was decoded before an error can be encoded
      // Of equal keys a map keeps the last; we keep both, and nobody sends us a map.
      if (!ok || table->name == kMapMessage) continue;
      m->DiscardUnknownFields();
      ASSERT_EQ(encoded, m->SerializeAsString()) << table->name << " " << testing::PrintToString(bytes);
    }
  }
  EXPECT_GT(accepted, refused / 10);
  EXPECT_GT(refused, accepted / 10);
}

TEST(Codec, TruncationIsNeverACrash) {
  google::protobuf::SetLogHandler(nullptr);
  RandomMessages random(test_seed());
  for (const MessageTable* table : whole_messages()) {
    auto m = new_protobuf(*table);
    random.fill(m.get(), {});
    std::string bytes = m->SerializeAsString();
    for (size_t n = 0; n < bytes.size() && n < 300; n++) {
      std::string cut = bytes.substr(0, n);
      Arena arena;
      AnyMessage ours(*table);
      ASSERT_EQ(ours.decode(cut, arena) == DecodeError::kNone, m->ParseFromString(cut)) << table->name;
    }
  }
}

}  // namespace
}  // namespace quorate::wire
