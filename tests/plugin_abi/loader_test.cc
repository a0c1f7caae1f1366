// Plugins that load, whatever built them.
#include "host/loader.h"

#include <iostream>

#include "abi_fixture.h"

namespace quorate::host::test {
namespace {

using plugin::Code;
using plugin::Engine;
using plugin::OpenInfo;
using plugin::Ref;
using plugin::Status;

std::string opened(Engine* engine, const char* directory) {
  OpenInfo info;
  info.directory = directory;
  plugin::Store* store = nullptr;
  Status s = engine->open(info, nullptr, &store);
  return std::string(plugin::code_name(s.code())) + ": " + s.text();
}

TEST_F(AbiTest, PluginsOfSeveralCompilersLiveInOneHost) {
  Loader loader(nullptr, {fixture_folder()});
  for (const char* name : {"fixture", "debugstl", "clang"}) {
    if (std::string(name) == "clang" && plugin::this_sanitizer()[0] != 0) {
      std::cerr
          << "skipped under a sanitizer: the plugin built by clang++, whose run-time library is another\n";
      continue;
    }
    Ref<Engine> engine;
    Status status = loader.make(request("", name), &engine);
    ASSERT_TRUE(status.ok()) << status.text();
    EXPECT_EQ(opened(engine.get(), "/x"), "unsupported: " + std::string(name) + " was asked for /x");
    EXPECT_EQ(opened(engine.get(), "/throw"), "internal: thrown by " + std::string(name));
    EXPECT_EQ(opened(engine.get(), "/throw-int"), "internal: an exception of unknown type");
  }
}

// docs/plugin-guide.md promises a complete engine: the example is built as it stands there.
TEST_F(AbiTest, TheExampleOfTheGuideIsAnEngine) {
  Loader loader(nullptr, {fixture_folder()});
  Ref<Engine> engine;
  Status status = loader.make(request("", "map"), &engine);
  ASSERT_TRUE(status.ok()) << status.text();
  OpenInfo info;
  info.keyspaces = 2;
  Ref<plugin::Store> store;
  ASSERT_TRUE(engine->open(info, nullptr, store.out()).ok());
  Ref<plugin::ReadView> before, after;
  ASSERT_TRUE(store->new_read_view(before.out()).ok());
  const plugin::WriteOp put{plugin::WriteKind::kPut, 1, {"k", 1}, {"v", 1}};
  ASSERT_TRUE(store->write({&put, 1}, 1).ok());
  ASSERT_TRUE(store->new_read_view(after.out()).ok());
  struct Sink final : plugin::ReadSink {
    uint32_t entry(uint64_t, uint32_t, plugin::ByteView, plugin::ByteView value) noexcept override {
      values.append(value.chars(), value.size);
      return 1;
    }
    std::string values;
  } sink;
  EXPECT_EQ(before->get(1, {"k", 1}, &sink).code(), Code::kNotFound);
  EXPECT_TRUE(after->get(1, {"k", 1}, &sink).ok());
  plugin::ScanOptions all;
  all.keyspace = 1;
  EXPECT_TRUE(after->scan(all, &sink).ok());
  EXPECT_EQ(sink.values, "vv");
  EXPECT_TRUE(store->close().ok());
  EXPECT_EQ(after->get(1, {"k", 1}, &sink).code(), Code::kViewExpired);
}

}  // namespace
}  // namespace quorate::host::test
