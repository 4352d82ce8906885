// Launches that a thread runs itself, which came to post a request of its own.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "support.h"

namespace tessera::runtime::test {
namespace {

// What comes while the thread runs its own request, for the core it is on, would otherwise wait for a worker that needs
// that very core.
TEST(RunHere, AThreadGoesOnWithWhatWaitsForItsCore) {
  ManualServing s("tessera");
  s.device->short_runs = true;  // what this test does within a run is not the run's
  const sched::Profile quick({{1, 1, microseconds(20)}, {1, 2, microseconds(20)}});
  auto own = add_sub_call("m", 1);
  auto others = add_sub_call("m", 2);
  auto far = add_sub_call("far", 3);
  std::atomic<int> runs{0};
  publish(*s.serving,
          make_instance({1}, "m",
                        [&](const Slice&, Batch& batch) {
                          if (runs.fetch_add(1) == 0) {
                            std::thread([&] { s.serving->infer(others); }).join();
                          }
                          return add_sub(batch);
                        }),
          quick);
  const sched::Profile slow({{1, 1, milliseconds(20)}, {1, 2, milliseconds(20)}});
  publish(*s.serving, make_instance({2}, "far", add_sub_plan()), slow);

  s.device->atom = 1;
  auto far_answer = far->answer.get_future();
  s.serving->infer(far);  // takes one of the two cores, and keeps it
  ASSERT_EQ(s.device->waiting(), 1U);
  s.device->atom = s.device->oldest_slice().first == 0 ? 1 : 0;
  auto own_answer = own->answer.get_future();
  auto others_answer = others->answer.get_future();
  s.serving->infer(own);
  EXPECT_EQ(own_answer.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(others_answer.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(s.device->ran_on, std::this_thread::get_id());
  EXPECT_EQ(runs.load(), 2);
  EXPECT_EQ(s.device->waiting(), 1U);
  s.device->run_oldest();
  EXPECT_TRUE(far_answer.get().ok());
}

}  // namespace
}  // namespace tessera::runtime::test
