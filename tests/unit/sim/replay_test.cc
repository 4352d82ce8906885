// Recorded runs are decided again, alike.
#include "sim/replay.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "loadgen/random.h"
#include "sched/journal.h"
#include "sim/device.h"
#include "sim/loop.h"

namespace tessera::sim {
namespace {

using namespace std::chrono_literals;

// Two models under random load on a simulated device, with cancelled requests, changed objectives, plans that come
// late, and a journal.
class Recorded : public Observer, private Loop::Target {
 public:
  explicit Recorded(const std::string& policy) : journal(sched::kJournalHead) {
    DeviceShape shape;
    shape.name = "eight";
    shape.processors.assign(8, 2);
    shape.ladder = aligned_ladder(8);
    shape.loader = loader_slice(8);
    shape.committed_per_atom = 1;
    sched::SchedulerLimits limits;
    limits.committed_per_atom = 1;
    sched::write_device({0, policy, shape, limits}, journal);
    DeviceTraits traits;
    traits.noise = 0.05;
    traits.beside.neighbour = 0.2;
    traits.home_everything = false;
    device_ = std::make_unique<Device>(loop_, shape, *sched::make_policy(policy), limits, traits, 3, *this);
    for (const std::uint32_t id : {1U, 2U}) {
      auto params = std::make_shared<sched::ModelParams>();
      params->name = id == 1 ? "a" : "b";
      params->max_batch_size = 4;
      params->buckets = {1, 2, 4};
      params->dynamic_batching = true;
      params->slo = id == 1 ? 12ms : 40ms;
      const auto run_time = [](std::int32_t rows, std::int32_t processors) {
        return Duration(4ms + rows * 2ms) / processors;
      };
      device_->add_model(InstanceId{id}, params, run_time, sched::Profile({{1, 2, 3ms}, {4, 16, 750us}}));
      // The whole device at once, as a loader has it; other slices as they are wished for.
      device_->send(sched::SliceReady{InstanceId{id}, shape.whole(), std::nullopt, std::nullopt});
    }
    loop_.at(TimePoint{}, *this, 0);
    loop_.run_until(TimePoint(400ms));
    sched::write_end({}, journal);
  }

  void acts(const sched::Action&) override {}
  void ended(const sched::StartLaunch&) override {}
  void decided(const sched::Event& event, TimePoint at, const sched::Actions& actions) override {
    sched::write_step(0, at, event, actions, journal);
    decisions += actions.size();
    ++steps;
  }

  std::string journal;
  std::uint64_t decisions = 0;
  std::uint64_t steps = 0;

 private:
  void due(std::uint64_t number) override {
    sched::Arrival arrival;
    arrival.request = RequestId{number + 1};
    arrival.instance = InstanceId{1 + static_cast<std::uint32_t>(random_.uniform() * 2)};
    arrival.rows = 1 + static_cast<std::int32_t>(random_.uniform() * 2);
    arrival.arrival = loop_.time();
    device_->send(arrival);
    if (number % 7 == 3) device_->send(sched::Cancelled{RequestId{number}});
    if (number % 100 == 50) {
      sched::LiveParams params;
      params.slo = number % 200 == 50 ? 5ms : 20ms;
      device_->send(sched::ParamsChanged{InstanceId{1}, params});
    }
    loop_.at(loop_.time() + Duration(static_cast<std::int64_t>(random_.uniform() * 1.2e6)), *this, number + 1);
  }

  Loop loop_;
  loadgen::Random random_{11};
  std::unique_ptr<Device> device_;
};

class Replays : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Policies, Replays,
                         ::testing::Values("tessera", "temporal", "temporal:triton=1", "streams",
                                           "fixed:share.a=0.5,share.b=0.5", "gslice:window_ms=50", "dstack"),
                         [](const auto& info) {
                           std::string name;
                           for (const char c : std::string(info.param)) name += std::isalnum(c) != 0 ? c : '_';
                           return name;
                         });

TEST_P(Replays, DecideTheSame) {
  const Recorded run(GetParam());
  const auto again = replay(run.journal, {});
  ASSERT_TRUE(again.ok()) << again.error().message();
  ASSERT_FALSE(again->difference.has_value()) << replay_text(*again);
  EXPECT_EQ(again->decisions, run.decisions);
  ASSERT_EQ(again->devices.size(), 1U);
  EXPECT_EQ(again->devices[0].steps, run.steps);
  EXPECT_EQ(again->devices[0].policy, GetParam());
  EXPECT_EQ(again->ended, "");
  ASSERT_EQ(again->models.size(), 2U);
  for (const Replay::Model& model : again->models) {
    EXPECT_GT(model.requests, 100U) << model.name;
    EXPECT_GT(model.batches, 20U) << model.name;
    EXPECT_GE(model.rows, model.batches) << model.name;
  }
  const std::string text = replay_text(*again);
  EXPECT_NE(text.find(std::to_string(run.decisions) + " of " + std::to_string(run.decisions) + " decisions the same"),
            std::string::npos)
      << text;
}

// The journal once more, with what `change` makes of its steps.
std::string changed(const std::string& journal,
                    const std::function<void(sched::JournalStep&, sched::Actions&)>& change) {
  auto reader = sched::JournalReader::open(journal);
  std::string out(sched::kJournalHead);
  for (;;) {
    const auto record = reader->next();
    EXPECT_TRUE(record.ok());
    if (!*record) return out;
    if (const auto* device = std::get_if<sched::JournalDevice>(&**record)) {
      sched::write_device(*device, out);
    } else if (const auto* end = std::get_if<sched::JournalEnd>(&**record)) {
      sched::write_end(*end, out);
    } else {
      auto step = std::get<sched::JournalStep>(**record);
      auto actions = *sched::decode_actions(step.actions);
      change(step, actions);
      sched::write_step(step.device, step.at, step.event, actions, out);
    }
  }
}

TEST(Replay, SaysWhereADecisionIsAnother) {
  const Recorded run("tessera");
  std::uint64_t launches = 0;
  std::uint64_t steps = 0;
  std::uint64_t expected = 0;
  const std::string other = changed(run.journal, [&](sched::JournalStep&, sched::Actions& actions) {
    ++steps;
    for (sched::Action& action : actions) {
      auto* launch = std::get_if<sched::StartLaunch>(&action);
      if (launch != nullptr && ++launches == 20) {
        launch->predicted += 1ns;
        expected = steps;
      }
    }
  });
  const auto again = replay(other, {});
  ASSERT_TRUE(again.ok()) << again.error().message();
  ASSERT_TRUE(again->difference.has_value());
  EXPECT_EQ(again->difference->step, expected);
  EXPECT_NE(again->difference->recorded, again->difference->now);
  const std::string text = replay_text(*again);
  EXPECT_NE(text.find("DIFFERENT at step " + std::to_string(expected) + " of eight"), std::string::npos) << text;
  EXPECT_NE(text.find("StartLaunch(20, "), std::string::npos) << text;
  EXPECT_NE(replay_json(*again, "c").find("\"same\": false"), std::string::npos);
}

TEST(Replay, SeesThatTheSchedulerWasToldOtherwise) {
  const Recorded run("tessera");
  std::uint64_t arrivals = 0;
  const auto again = replay(changed(run.journal,
                                    [&](sched::JournalStep& step, sched::Actions&) {
                                      auto* arrival = std::get_if<sched::Arrival>(&step.event);
                                      if (arrival != nullptr && ++arrivals == 30) {
                                        arrival->instance = InstanceId{3 - arrival->instance.value};
                                      }
                                    }),
                            {});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->difference.has_value());
}

TEST(Replay, GoesAsFarAsTheRecordingDoes) {
  const Recorded run("temporal");
  const auto cut = replay(std::string_view(run.journal).substr(0, run.journal.size() / 2), {});
  ASSERT_TRUE(cut.ok()) << cut.error().message();
  EXPECT_FALSE(cut->difference.has_value());
  EXPECT_LT(cut->devices[0].steps, run.steps);
  EXPECT_NE(replay_text(*cut).find("the recording ends early, in the middle of a record"), std::string::npos);
}

TEST(Replay, RefusesWhatIsNoJournal) {
  EXPECT_FALSE(replay("", {}).ok());
  EXPECT_FALSE(replay("{\"a\": 1}", {}).ok());
  std::string journal(sched::kJournalHead);
  sched::write_step(0, TimePoint{}, sched::TimerFired{}, {}, journal);
  const auto none = replay(journal, {});
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message().find("never began"), std::string::npos);
  std::string twice(sched::kJournalHead);
  sched::write_end({}, twice);
  sched::write_end({}, twice);
  ASSERT_FALSE(replay(twice, {}).ok());
  EXPECT_NE(replay(twice, {}).error().message().find("after its end"), std::string::npos);
  std::string unknown(sched::kJournalHead);
  sched::write_device({0, "clever", {"d", {1}, aligned_ladder(1), {0, 1}}, {}}, unknown);
  ASSERT_FALSE(replay(unknown, {}).ok());
  EXPECT_NE(replay(unknown, {}).error().message().find("clever"), std::string::npos);
}

}  // namespace
}  // namespace tessera::sim
