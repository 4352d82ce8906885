// What is the same for several policies: how they are named, and the rule of size or delay.
#include <gtest/gtest.h>

#include "tests/support/every_policy.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

TEST(MakePolicy, NamesWhatItDoesNotKnow) {
  const auto unknown = sched::make_policy("fancy");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().message(),
            "unknown policy 'fancy'; known are: tessera, temporal, streams, fixed, gslice, dstack");
  for (const char* bad : {"temporal:x=1", "temporal:triton=2", "fixed:share.m=0", "fixed:share.m=1.5",
                          "fixed:share.=0.5", "fixed:share.m=nan", "fixed:share.a=0.6,share.b=0.6", "fixed:share.m",
                          "tessera:x=1", "streams:x=1", "gslice:window_ms=0", "gslice:window_ms=x",
                          "gslice:stand_by_ms=-1", "gslice:x=1", "dstack:x=1", "temporal:triton=1,triton=0"}) {
    EXPECT_FALSE(sched::make_policy(bad).ok()) << bad;
  }
  for (const char* good : {"fixed:share.m=0.5,share.n=0.25", "gslice:window_ms=500,stand_by_ms=0"}) {
    EXPECT_TRUE(sched::make_policy(good).ok()) << good;
  }
}

TEST(MakePolicy, SharesOfMoreThanADeviceAreNamed) {
  EXPECT_EQ(sched::make_policy("fixed:share.a=0.6,share.b=0.55").error().message(),
            "policy fixed: shares add up to 1.15, more than 1: 'a' 0.6, 'b' 0.55");
  EXPECT_TRUE(sched::make_policy("fixed:share.a=0.1,share.b=0.2,share.c=0.7").ok());
}

TEST(MakePolicy, KnowsWhatTheRegistryNames) {
  ASSERT_FALSE(sched::known_policies().empty());
  for (const sched::KnownPolicy& known : sched::known_policies()) {
    EXPECT_FALSE(known.help.empty()) << known.name;
    auto made = sched::make_policy(known.name);
    ASSERT_TRUE(made.ok()) << made.error().message();
    EXPECT_EQ((*made)->name(), known.name);
  }
  for (const std::string& with_options : every_policy(true)) {
    EXPECT_TRUE(sched::make_policy(with_options).ok()) << with_options;
  }
}

struct DelayCase {
  std::vector<std::int32_t> preferred;
  Duration delay;
  int requests;             // at once
  Duration expected_start;  // of the first batch
  int expected_batch;
};
class SizeOrDelay : public ::testing::TestWithParam<std::tuple<DelayCase, const char*>> {};

TEST_P(SizeOrDelay, IsExact) {
  const auto& [c, name] = GetParam();
  World w(device_of(1), name);
  auto params = model("m", 8);
  params.preferred_batch_sizes = c.preferred;
  params.max_queue_delay = c.delay;
  const InstanceId m = w.add_model(params, Truth{.per_row = 1ms});
  std::vector<RequestId> requests;
  for (int i = 0; i < c.requests; ++i) {
    requests.push_back(w.request(m));
  }
  w.run_to_rest();
  EXPECT_EQ(w.fate(requests[0]).launched.value(), at(c.expected_start));
  EXPECT_EQ(w.fate(requests[0]).batch, c.expected_batch);
  w.expect_all_ended();
}
INSTANTIATE_TEST_SUITE_P(Sched, SizeOrDelay,
                         ::testing::Combine(::testing::Values(DelayCase{{}, 5ms, 3, 5ms, 3},   // the delay passes
                                                              DelayCase{{}, 5ms, 8, 0ms, 8},   // the maximum is reached
                                                              DelayCase{{4}, 5ms, 4, 0ms, 4},  // a preferred size is
                                                              DelayCase{{4, 6}, 5ms, 3, 5ms, 3},  // none is
                                                              DelayCase{{}, 0ms, 1, 0ms, 1}),     // nothing waits
                                            ::testing::Values("temporal", "temporal:triton=1", "streams", "fixed")));

}  // namespace
}  // namespace tessera::testing
