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

}  // namespace
}  // namespace quorate::host::test
