// The generator against a target whose answers are known: what counts, when, and when a run proves nothing.
#include "loadgen/generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <thread>

#include "base/clock.h"
#include "loadgen/inbox.h"

namespace tessera::loadgen {
namespace {

using namespace std::chrono_literals;

// Answers each request after `takes`, but not before `opens`; takes `room` at once.
class Pretended : public Target {
 public:
  Status prepare(std::size_t, std::int32_t) override { return ok_status(); }
  bool send(std::size_t tenant, std::int32_t rows, std::uint64_t number) override {
    if (waiting_.size() >= room) {
      return false;
    }
    if (stall > Duration(0) && ++sent_ == 30) {
      std::this_thread::sleep_for(stall);
    }
    ++by_rows[rows];
    most = std::max(most, waiting_.size() + 1);
    Answer answer;
    answer.number = number;
    answer.kind = tenant == rejects ? Answer::Kind::kRejected : Answer::Kind::kAnswered;
    answer.at = std::max(now() + takes, opens);
    waiting_.emplace(answer.at, answer);
    return true;
  }
  void wait(TimePoint until, std::vector<Answer>& answers) override {
    const TimePoint next = waiting_.empty() ? kNever : waiting_.begin()->first;
    if (std::min(until, next) > now()) {
      std::this_thread::sleep_for(std::min(until, next) - now());
    }
    while (!waiting_.empty() && waiting_.begin()->first <= now()) {
      answers.push_back(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
    }
  }

  bool send_due(std::size_t tenant, std::int32_t rows, std::uint64_t number, TimePoint due) override {
    due_at.push_back(due);
    return send(tenant, rows, number);
  }
  // As if one of two atoms was busy all the time.
  std::optional<Usage> usage() const override {
    const TimePoint at = now();
    return known ? std::optional<Usage>({at, std::chrono::duration<double>(at.time_since_epoch()).count(), 2})
                 : std::nullopt;
  }

  Duration takes = 1ms;
  bool known = true;
  std::vector<TimePoint> due_at;
  TimePoint opens{};
  Duration stall{0};  // of the 30th call
  std::size_t room = 10'000;
  std::size_t rejects = 99;
  std::size_t most = 0;
  std::map<std::int32_t, int> by_rows;

 private:
  std::multimap<TimePoint, Answer> waiting_;
  int sent_ = 0;
};

// The objective is wide, so that a busy machine makes no run invalid: the limit of lateness is 1 % of it.
Tenant steady(double rate, Duration slo = 5s) {
  Tenant tenant;
  tenant.spec.name = "steady";
  tenant.spec.process = Constant{0.0, 0};
  tenant.rate = rate;
  tenant.slo = slo;
  return tenant;
}

Tenant closed(int outstanding) {
  Tenant tenant;
  tenant.spec.outstanding = outstanding;
  return tenant;
}

LoadOptions quick(Duration length = 500ms) {
  LoadOptions options;
  options.warm_up = 100ms;
  options.length = length;
  options.patience = 200ms;
  return options;
}

TEST(Generator, CountsWhatIsScheduledAfterTheWarmUp) {
  Pretended target;
  const LoadOutcome out = Generator(target).run({steady(200)}, quick());
  EXPECT_EQ(out.tenants[0].tally.offered_count(), 100U);
  EXPECT_EQ(out.tenants[0].tally.answered_count(), 100U);
  EXPECT_EQ(out.lateness.all.count(), 100U);
  EXPECT_EQ(out.invalid, "");
  std::uint64_t in_periods = 0;
  for (const Period& period : out.periods) {
    in_periods += period.tally.answered_count();
  }
  EXPECT_EQ(in_periods, 100U);
  EXPECT_NEAR(out.goodput(), 200, 1e-9);
}

TEST(Generator, TimelinesTellWhenEachTenantMissed) {
  Pretended target;
  target.rejects = 1;
  target.opens = now() + 320ms;  // 20 ms until the first request, and 300 ms
  const LoadOutcome out = Generator(target).run({steady(200, 100ms), steady(100)}, quick());
  EXPECT_EQ(out.timelines.step(), 100ms);
  ASSERT_EQ(out.timelines.tenants(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<Moment>& timeline = out.timelines.of(i);
    ASSERT_EQ(timeline.size(), 5U);
    std::uint64_t answered = 0;
    std::uint64_t met = 0;
    for (const Moment& moment : timeline) {
      EXPECT_EQ(moment.offered, i == 0 ? 20U : 10U);
      EXPECT_EQ(moment.failed, 0U);
      answered += moment.answered;
      met += moment.met;
    }
    EXPECT_EQ(answered, out.tenants[i].tally.answered_count());
    EXPECT_EQ(met, out.tenants[i].tally.met_count());
  }
  // What was due 200 to 100 ms before the target opened is late, what came after it is not.
  const std::vector<Moment>& late = out.timelines.of(0);
  EXPECT_LE(late[0].met, 2U);
  EXPECT_GE(late[0].slowest, 190ms);
  EXPECT_EQ(late[3].met, 20U);
  EXPECT_EQ(out.timelines.of(1)[0].answered, 0U);
  const double ended = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(out.began_at + 0.5, ended, 0.3);
}

TEST(Generator, LatencyCountsFromTheScheduleAndASlowTargetDelaysNoRequest) {
  Pretended target;
  target.opens = now() + 420ms;  // all before are answered then
  const LoadOutcome out = Generator(target).run({steady(200)}, quick());
  const Tally& tally = out.tenants[0].tally;
  EXPECT_EQ(tally.answered_count(), 100U);
  EXPECT_GT(target.most, 50U);  // nobody waited for an answer
  EXPECT_GT(tally.quantile(0.99), 270ms);
  EXPECT_NEAR(static_cast<double>(tally.quantile(0.7).count()), 150e6, 60e6);  // a ramp, not one outlier
}

TEST(Generator, ALateGeneratorIsInvalidAndHidesNothing) {
  Pretended target;
  target.stall = 200ms;
  const LoadOutcome out = Generator(target).run({steady(200, 100ms)}, quick());
  EXPECT_NE(out.invalid.find("schedule was not kept"), std::string::npos) << out.invalid;
  EXPECT_EQ(out.lateness.limit, 1ms);
  EXPECT_GE(out.lateness.worst, 190ms);
  EXPECT_EQ(out.tenants[0].tally.offered_count(), 100U);
  EXPECT_GE(out.tenants[0].tally.offered_count() - out.tenants[0].tally.met_count(), 15U);
}

TEST(Generator, HowLateItMayBeIsAPartOfTheTightestObjective) {
  EXPECT_EQ(lateness_limit({}), 1ms);
  EXPECT_EQ(lateness_limit(2200us), kLeastLateness);
  EXPECT_EQ(lateness_limit(4ms), kLeastLateness);
  EXPECT_EQ(lateness_limit(10ms), 500us);
  EXPECT_EQ(lateness_limit(20ms), 1ms);
  EXPECT_EQ(lateness_limit(100ms), 1ms);
  EXPECT_EQ(lateness_limit(2s), 20ms);
  Pretended target;
  const LoadOutcome out = Generator(target).run({steady(200, 5s), steady(200, 8ms)}, quick(200ms));
  EXPECT_EQ(out.lateness.limit, 400us);
}

TEST(Generator, ATargetHearsWhenARequestWasDue) {
  Pretended target;
  target.stall = 50ms;
  Generator(target).run({steady(200)}, quick());
  ASSERT_EQ(target.due_at.size(), 120U);
  for (std::size_t i = 1; i < target.due_at.size(); ++i) {
    EXPECT_EQ(target.due_at[i] - target.due_at[i - 1], 5ms) << i;  // whatever held its thread up
  }
}

TEST(Generator, CountsWhatRanInTheCountedTime) {
  Pretended target;
  const LoadOutcome out = Generator(target).run({steady(200)}, quick());
  EXPECT_EQ(out.busy.atoms, 2);
  EXPECT_NEAR(out.busy.seconds, 0.5, 0.1);  // without the warm-up
  EXPECT_NEAR(out.busy.share(), 0.5, 1e-3);
  target.known = false;
  EXPECT_EQ(Generator(target).run({steady(200)}, quick()).busy.atoms, 0);
}

TEST(Generator, WhatDoesNotFitIsMissedAndSaidSo) {
  Pretended target;
  target.takes = 50ms;
  LoadOptions options = quick();
  options.most_in_flight = 3;
  const LoadOutcome by_option = Generator(target).run({steady(200)}, options);
  EXPECT_EQ(target.most, 3U);
  target.room = 2;
  target.most = 0;
  const LoadOutcome by_target = Generator(target).run({steady(200)}, quick());
  EXPECT_EQ(target.most, 2U);
  for (const LoadOutcome& out : {by_option, by_target}) {
    const Tally& tally = out.tenants[0].tally;
    EXPECT_EQ(tally.offered_count(), 100U);
    EXPECT_EQ(tally.answered_count() + tally.failed_count(), 100U);
    EXPECT_GT(tally.failed_count(), 50U);
    EXPECT_LT(tally.attainment(), 0.5);
    ASSERT_EQ(out.failures[0].size(), 1U);
    EXPECT_EQ(out.failures[0].begin()->second, tally.failed_count());
  }
}

TEST(Generator, ClosedLoopKeepsSoManyAtOnce) {
  Pretended target;
  target.takes = 10ms;
  target.rejects = 1;
  Tenant refused = closed(2);
  const LoadOutcome out = Generator(target).run({closed(4), refused}, quick());
  EXPECT_LE(target.most, 6U);
  const double answered = static_cast<double>(out.tenants[0].tally.answered_count());
  EXPECT_NEAR(answered, 4 * 50, 60);
  EXPECT_EQ(out.tenants[1].tally.answered_count(), 0U);
  EXPECT_EQ(out.tenants[1].tally.rejected_count(), out.tenants[1].tally.offered_count());
  EXPECT_EQ(out.goodput(), 0);
  EXPECT_EQ(out.lateness.all.count(), 0U);  // nothing was scheduled
}

TEST(Generator, AnswersThatNeverComeFailAndDoNotDisturbTheNextRun) {
  Pretended target;
  target.opens = now() + 900ms;  // after the first run's patience
  Generator generator(target);
  const LoadOutcome first = generator.run({steady(200)}, quick(400ms));
  EXPECT_EQ(first.tenants[0].tally.failed_count(), 80U);
  EXPECT_EQ(first.tenants[0].tally.answered_count(), 0U);
  EXPECT_EQ(first.failures[0].begin()->first, "no answer 0 s after the end");
  generator.let_end(2s);
  target.opens = {};
  const LoadOutcome second = generator.run({steady(200)}, quick(400ms));
  EXPECT_EQ(second.tenants[0].tally.answered_count(), 80U);
}

TEST(Generator, EndsWhereThereAreTooManyMisses) {
  Pretended target;
  target.takes = 20ms;
  LoadOptions options = quick(20s);
  options.most_misses = {10};
  const TimePoint begun = now();
  const LoadOutcome out = Generator(target).run({steady(200, 10ms)}, options);
  EXPECT_TRUE(out.gave_up);
  EXPECT_LT(now() - begun, 10s);
}

TEST(Generator, ARunThatIsStoppedCountsWhatItDid) {
  Pretended target;
  LoadOptions options = quick(20s);
  const TimePoint begun = now();
  options.stopped = [&] { return now() - begun > 1s; };
  const LoadOutcome out = Generator(target).run({steady(200)}, options);
  EXPECT_LT(now() - begun, 3s);
  EXPECT_FALSE(out.gave_up);
  EXPECT_NEAR(out.seconds, 0.88, 0.3);
  const Tally& tally = out.tenants[0].tally;
  EXPECT_NEAR(static_cast<double>(tally.offered_count()), 200 * out.seconds, 2);
  EXPECT_EQ(tally.answered_count(), tally.offered_count());
  double seconds = 0;
  for (const Period& period : out.periods) {
    EXPECT_GT(period.seconds, 0);
    seconds += period.seconds;
  }
  EXPECT_NEAR(seconds, out.seconds, 1e-6);
  EXPECT_EQ(out.timelines.of(0).size(), static_cast<std::size_t>(std::ceil(out.seconds / 0.1)));
  options.stopped = [] { return true; };
  EXPECT_NEAR(Generator(target).run({steady(200)}, options).seconds, 0.1, 1e-9);
}

TEST(Generator, TracesSendTheRowsTheyHave) {
  Pretended target;
  Tenant tenant = steady(200);
  const std::vector<ScheduledArrival> arrivals = {{1ms, 1}, {2ms, 3}, {3ms, 100}};
  tenant.spec.process = Trace{std::make_shared<const std::vector<ScheduledArrival>>(arrivals), 3ms};
  tenant.spec.max_batch = 8;
  EXPECT_EQ(rows_of(tenant.spec), (std::vector<std::int32_t>{1, 3, 8}));
  const LoadOutcome out = Generator(target).run({tenant}, quick());
  EXPECT_EQ(out.tenants[0].tally.offered_count(), 100U);
  EXPECT_EQ(target.by_rows.size(), 3U);
  EXPECT_NEAR(target.by_rows[8], target.by_rows[1], 1);
}

TEST(Generator, TheLatencyAloneIsThatOfOneRequestAtATime) {
  Pretended target;
  target.takes = 5ms;
  const auto alone = latency_alone(target, 0, 1);
  ASSERT_TRUE(alone.ok());
  EXPECT_GE(*alone, 5ms);
  EXPECT_LT(*alone, 20ms);
  EXPECT_EQ(target.most, 1U);
  target.rejects = 0;
  EXPECT_FALSE(latency_alone(target, 0, 1).ok());
}

TEST(Inbox, WakesWhoWaitsAndLosesNothing) {
  Inbox inbox;
  std::vector<Answer> answers;
  inbox.take(now() + 5ms, answers);
  EXPECT_TRUE(answers.empty());
  constexpr std::uint64_t kEach = 2000;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&inbox, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        Answer answer;
        answer.number = t * kEach + i;
        inbox.push(answer);
      }
    });
  }
  const TimePoint limit = now() + 20s;
  while (answers.size() < 3 * kEach && now() < limit) {
    inbox.take(limit, answers);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::vector<std::uint64_t> numbers;
  for (const Answer& answer : answers) {
    numbers.push_back(answer.number);
  }
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(std::unique(numbers.begin(), numbers.end()), numbers.end());
  EXPECT_EQ(numbers.size(), 3 * kEach);
}

}  // namespace
}  // namespace tessera::loadgen
