#include "server/helper_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <vector>

namespace tessera::server {
namespace {

TEST(HelperThread, WorksInTheOrderGivenBesideItsCallers) {
  HelperThread helper;
  std::promise<void> gate;
  std::vector<int> done;
  helper.post([opened = gate.get_future().share()] { opened.wait(); });
  for (int i = 0; i < 10; ++i) helper.post([&done, i] { done.push_back(i); });
  EXPECT_TRUE(done.empty());  // posting waits for nothing
  gate.set_value();
  helper.stop();
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(HelperThread, WorksForItsCallersOnceItIsStopped) {
  HelperThread helper;
  helper.stop();
  std::thread::id where;
  helper.post([&where] { where = std::this_thread::get_id(); });
  EXPECT_EQ(where, std::this_thread::get_id());
}

}  // namespace
}  // namespace tessera::server
