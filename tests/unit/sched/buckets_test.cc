// Instances that serve before all their buckets are there.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

class Buckets : public ::testing::TestWithParam<const char*> {
 protected:
  Buckets() : w_(device_of(4), GetParam()) {}

  InstanceId add(const std::function<void(sched::ModelParams&)>& adjust = [](sched::ModelParams&) {}) {
    auto params = model("m", 8);
    adjust(params);
    return w_.add_model_without_buckets(params, Truth{.per_row = 1ms});
  }
  RequestId request(InstanceId m, std::int32_t rows, std::optional<Duration> timeout = std::nullopt) {
    auto arrival = w_.arrival(m);
    arrival.rows = rows;
    arrival.timeout = timeout;
    return w_.request(arrival);
  }

  World w_;
};
INSTANTIATE_TEST_SUITE_P(Sched, Buckets,
                         ::testing::Values("tessera", "temporal", "temporal:triton=1", "streams", "fixed"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

TEST_P(Buckets, WhatTheBucketsHoldIsServedAndTheRestWaits) {
  const InstanceId m = add();
  w_.bucket_comes(m, 1);
  const RequestId large = request(m, 8);
  std::vector<RequestId> small;
  for (int i = 0; i < 5; ++i) {
    small.push_back(request(m, 1));
  }
  w_.run_until(50ms);
  for (const RequestId r : small) {
    EXPECT_TRUE(w_.fate(r).ended) << "it does not wait for a batch that cannot be";
  }
  w_.bucket_comes(m, 2);
  w_.bucket_comes(m, 4);
  w_.run_until(100ms);
  EXPECT_FALSE(w_.fate(large).launched);
  w_.bucket_comes(m, 8);
  w_.run_to_rest();
  EXPECT_TRUE(w_.fate(large).ended);
  w_.expect_all_ended();
}

TEST_P(Buckets, ATimeoutEndsSuchAWaitAndACancellation) {
  const InstanceId m = add();
  w_.bucket_comes(m, 1);
  const RequestId impatient = request(m, 2, 20ms);
  const RequestId cancelled = request(m, 2);
  const RequestId patient = request(m, 2);
  w_.run_until(10ms);
  w_.cancel(cancelled);
  w_.run_until(30ms);
  EXPECT_EQ(w_.fate(impatient).rejected, at(20ms));
  w_.bucket_comes(m, 2);
  w_.run_to_rest();
  EXPECT_TRUE(w_.fate(patient).ended);
  w_.expect_all_ended();
}

TEST_P(Buckets, WhereNoneComesAnyMoreLargerRequestsAreRejected) {
  const InstanceId m = add();
  w_.bucket_comes(m, 1);
  const RequestId waits = request(m, 4);
  w_.bucket_comes(m, 2);
  w_.send(sched::BucketsEnd{m});
  EXPECT_EQ(w_.fate(waits).reason, sched::RejectReason::kTooManyRows);
  const RequestId late = request(m, 3);
  EXPECT_EQ(w_.fate(late).reason, sched::RejectReason::kTooManyRows);
  const RequestId fits = request(m, 2);
  w_.run_to_rest();
  EXPECT_TRUE(w_.fate(fits).ended);
  w_.expect_all_ended();
}

TEST_P(Buckets, AnInstanceThatGoesAwaitsNone) {
  const InstanceId m = add();
  w_.bucket_comes(m, 1);
  const RequestId waits = request(m, 4);
  w_.send(sched::ModelDown{m});
  EXPECT_EQ(w_.fate(waits).reason, sched::RejectReason::kModelGone);
  EXPECT_TRUE(w_.drained().contains(m));
}

TEST_P(Buckets, AnInputThatComesWhileItsRequestWaitsIsRemembered) {
  const InstanceId m = add();
  w_.bucket_comes(m, 1);
  auto arrival = w_.arrival(m);
  arrival.rows = 2;
  arrival.input_ready = false;
  const RequestId early = w_.request(arrival);
  arrival = w_.arrival(m);
  arrival.rows = 2;
  arrival.input_ready = false;
  const RequestId late = w_.request(arrival);
  w_.send(sched::InputReady{early, w_.now()});
  w_.bucket_comes(m, 2);
  w_.run_until(20ms);
  EXPECT_TRUE(w_.fate(early).ended);
  EXPECT_FALSE(w_.fate(late).launched);
  w_.send(sched::InputReady{late, w_.now()});
  w_.run_to_rest();
  w_.expect_all_ended();
}

TEST_P(Buckets, OnlyPlansThatExistAreAskedFor) {
  const InstanceId m = add();
  w_.bucket_comes(m, 1);
  for (int i = 0; i < 20; ++i) {
    request(m, 1);
  }
  w_.run_to_rest();
  for (const sched::PrepareHome& home : w_.homings()) {
    EXPECT_EQ(home.bucket, 1);
    EXPECT_EQ(home.lane, LaneIndex{0});
  }
}

TEST_P(Buckets, AMeasuredRunCorrectsWhatIsPredicted) {
  const InstanceId m = add();
  w_.bucket_comes(m, 1);
  const Duration before = *w_.scheduler().profile(m)->latency(8, 4);
  w_.send(sched::Measured{m, 8, {0, 4}, 6ms});
  EXPECT_GT(*w_.scheduler().profile(m)->latency(8, 4), before);
}

}  // namespace
}  // namespace tessera::testing
