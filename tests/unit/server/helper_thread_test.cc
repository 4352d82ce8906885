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
  EXPECT_TRUE(helper.post([opened = gate.get_future().share()] { opened.wait(); }));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(helper.post([&done, i] { done.push_back(i); }));
  EXPECT_TRUE(done.empty());  // posting waits for nothing
  gate.set_value();
  helper.stop();
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(HelperThread, RefusesWhatIsTooMuch) {
  HelperThread helper;
  std::promise<void> gate;
  std::promise<void> busy;
  EXPECT_TRUE(helper.post([&, opened = gate.get_future().share()] {
    busy.set_value();
    opened.wait();
  }));
  busy.get_future().wait();
  int done = 0;
  for (std::size_t i = 0; i < HelperThread::kMaxWaiting; ++i) {
    ASSERT_TRUE(helper.post([&done] { ++done; }));
  }
  EXPECT_FALSE(helper.post([&done] { ++done; }));
  gate.set_value();
  helper.stop();
  EXPECT_EQ(done, static_cast<int>(HelperThread::kMaxWaiting));
}

TEST(HelperThread, WorksForItsCallersOnceItIsStopped) {
  HelperThread helper;
  helper.stop();
  std::thread::id where;
  EXPECT_TRUE(helper.post([&where] { where = std::this_thread::get_id(); }));
  EXPECT_EQ(where, std::this_thread::get_id());
}

}  // namespace
}  // namespace tessera::server
