// Whether one more tenant fits: cases in which it clearly does, and in which it clearly does not.
#include "sim/fit.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tessera::sim {
namespace {

using namespace std::chrono_literals;

// Four atoms; a row takes 10 ms on one of them, and 2.5 ms on all.
DeviceProfile four_atoms() {
  DeviceProfile device;
  device.shape.name = "four";
  device.shape.processors = {1, 1, 1, 1};
  device.shape.ladder = aligned_ladder(4);
  device.shape.loader = loader_slice(4);
  for (const std::int32_t rows : {1, 2, 4, 8}) {
    for (const std::int32_t processors : {1, 2, 4}) {
      device.models["m"].points.push_back({rows, processors, Duration(10ms) * rows / processors});
    }
  }
  return device;
}

loadgen::Tenant tenant(const std::string& name, double rate, std::optional<Duration> slo) {
  loadgen::Tenant out;
  out.spec.name = name;
  out.spec.model = "m";
  out.spec.rate = rate;
  out.spec.slo = slo;
  out.spec.max_batch = 8;
  out.slo = slo;
  out.rate = rate;
  return out;
}

FitQuestion question(std::vector<loadgen::Tenant> present, loadgen::Tenant candidate) {
  FitQuestion out;
  out.device = four_atoms();
  out.present = std::move(present);
  out.candidate = std::move(candidate);
  out.most_devices = 8;
  return out;
}

FitAnswer answer_to(const FitQuestion& question) {
  const auto answer = fit(question, {});
  EXPECT_TRUE(answer.ok()) << answer.error().message();
  return *answer;
}

// The device carries 400 rows a second.
TEST(Fit, WhatAsksForLittleFits) {
  const FitAnswer answer =
      answer_to(question({tenant("a", 40, 200ms), tenant("b", 40, 500ms)}, tenant("c", 40, 200ms)));
  EXPECT_TRUE(answer.fits);
  EXPECT_TRUE(answer.sure);
  EXPECT_TRUE(answer.complete);
  ASSERT_EQ(answer.tenants.size(), 3U);
  EXPECT_FALSE(answer.highest_rate || answer.smallest_slo || answer.devices);
  for (const FitTenant& one : answer.tenants) {
    EXPECT_FALSE(one.suffers) << one.name;
    EXPECT_GE(one.after.attainment(), 0.99);
  }
  EXPECT_TRUE(answer.tenants[0].before.has_value());
  EXPECT_FALSE(answer.tenants[2].before.has_value());
  EXPECT_GE(answer.tenants[0].after.quantile(0.99), answer.tenants[0].before->quantile(0.99)) << "the cost is shown";
}

TEST(Fit, WhatAsksForMoreThanThereIsDoesNotAndHearsWhatWould) {
  const FitQuestion asked = question({tenant("a", 200, 200ms)}, tenant("c", 400, 200ms));
  const FitAnswer answer = answer_to(asked);
  EXPECT_FALSE(answer.fits);
  EXPECT_TRUE(answer.tenants[0].suffers || answer.tenants[1].suffers);
  // 400 rows a second in all: what is left beside the other one, and no objective helps.
  ASSERT_TRUE(answer.highest_rate.has_value());
  EXPECT_GT(*answer.highest_rate, 60);
  EXPECT_LT(*answer.highest_rate, 212);  // a run is so short that a queue growing by 2 % passes
  EXPECT_FALSE(answer.smallest_slo.has_value());
  ASSERT_TRUE(answer.devices.has_value());
  EXPECT_EQ(*answer.devices, 2U);
  // What it says would do, does.
  FitQuestion lower = asked;
  lower.candidate.rate = *answer.highest_rate;
  EXPECT_TRUE(answer_to(lower).fits);
  FitQuestion two = asked;
  two.devices = 2;
  EXPECT_TRUE(answer_to(two).fits);
  const std::string text = json(asked, answer);
  EXPECT_NE(text.find("\"fits\": false"), std::string::npos);
  EXPECT_NE(text.find("\"devices\": 2}"), std::string::npos) << text;
  EXPECT_NE(verdict(asked, answer).find("So would 2 devices"), std::string::npos);
}

// A run takes 2.5 ms at best.
TEST(Fit, AnObjectiveThatNoRunMeetsIsMetByAWiderOneAlone) {
  const FitAnswer answer = answer_to(question({}, tenant("c", 10, 1ms)));
  EXPECT_FALSE(answer.fits);
  EXPECT_FALSE(answer.highest_rate.has_value());
  EXPECT_FALSE(answer.devices.has_value());
  ASSERT_TRUE(answer.smallest_slo.has_value());
  EXPECT_GT(*answer.smallest_slo, 2500us);
  EXPECT_LT(*answer.smallest_slo, 20ms);
}

// Who misses already is not held against the candidate, as long as it does not get worse.
TEST(Fit, WhoMissesAnywayIsNoReason) {
  const FitAnswer answer = answer_to(question({tenant("lost", 10, 1ms)}, tenant("c", 10, 200ms)));
  EXPECT_LT(answer.tenants[0].before->attainment(), 0.1);
  EXPECT_TRUE(answer.fits);
}

TEST(Fit, TenantsWithoutAnObjectiveDoNotSuffer) {
  const FitAnswer answer = answer_to(question({tenant("batch", 50, std::nullopt)}, tenant("c", 100, 200ms)));
  EXPECT_TRUE(answer.fits);
  EXPECT_FALSE(answer.tenants[0].suffers);
}

TEST(Fit, TheSameQuestionHasTheSameAnswer) {
  FitQuestion asked = question({tenant("a", 200, 100ms)}, tenant("c", 300, 100ms));
  asked.most_requests = 5000;
  EXPECT_EQ(json(asked, answer_to(asked)), json(asked, answer_to(asked)));
}

TEST(Fit, ItEndsWhenItIsToldTo) {
  const FitQuestion asked = question({tenant("a", 200, 200ms)}, tenant("c", 400, 200ms));
  int left = 6;
  const auto answer = fit(asked, [&](const std::string&) { return left-- > 0; });
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_FALSE(answer->fits);
  EXPECT_FALSE(answer->complete);
  EXPECT_EQ(answer->runs, 6U);
  EXPECT_EQ(fit(asked, [](const std::string&) { return false; }).error().code(), ErrorCode::kUnavailable);
}

TEST(Fit, RunsAreBoundedAndSayWhereTheyTellTooLittle) {
  FitQuestion asked = question({tenant("a", 300, 500ms)}, tenant("rare", 0.01, 500ms));
  asked.most_requests = 2000;
  const FitAnswer answer = answer_to(asked);
  EXPECT_FALSE(answer.sure);
  EXPECT_LE(answer.tenants[0].after.offered_count(), 2 * 2600U);
}

TEST(Fit, QuestionsThatMakeNoSenseAreRefused) {
  EXPECT_EQ(fit(question({}, tenant("c", 10, std::nullopt)), {}).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(fit(question({}, tenant("c", 0, 10ms)), {}).error().code(), ErrorCode::kInvalidArgument);
  FitQuestion unknown = question({}, tenant("c", 10, 10ms));
  unknown.candidate.spec.model = "n";
  EXPECT_EQ(fit(unknown, {}).error().code(), ErrorCode::kNotFound);
  FitQuestion policy = question({}, tenant("c", 10, 10ms));
  policy.policy = "fancy";
  EXPECT_EQ(fit(policy, {}).error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tessera::sim
