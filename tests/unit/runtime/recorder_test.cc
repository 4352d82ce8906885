// What a service records is what its schedulers decide, whatever threads it serves and however recording ends.
#include "runtime/recorder.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "fleet_support.h"
#include "sim/replay.h"

namespace tessera::runtime::test {
namespace {

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class RecorderTest : public FleetTest {
 protected:
  RecorderTest() {
    path_ = fs::temp_directory_path() / ("tessera-journal-" + std::to_string(::getpid()) + "-" +
                                         testing::UnitTest::GetInstance()->current_test_info()->name());
  }
  ~RecorderTest() override { fs::remove(path_); }

  // How the recording says that it ended; it has to be whole, and alike.
  std::string end_of() const {
    const auto again = sim::replay(content(path_), {});
    EXPECT_TRUE(again.ok()) << again.error().message();
    EXPECT_FALSE(again.ok() && again->difference) << sim::replay_text(*again);
    return again.ok() ? again->ended : "unreadable";
  }

  // Steps of a device that decides nothing, until `enough`.
  template <typename Enough>
  static void timers(Recorder& recorder, const Enough& enough) {
    recorder.begin({0, "temporal", {"d", {1}, aligned_ladder(1), {0, 1}}, {}});
    for (int i = 0; !enough(i); ++i) {
      recorder.step(0, TimePoint(std::chrono::microseconds(i)), sched::Cancelled{{1}}, {});
    }
  }

  fs::path path_;
};

TEST_F(RecorderTest, WhatWasDecidedUnderLoadIsDecidedAgain) {
  model("m", "200us", R"(max_batch_size: 0 parameters { key: "slo_ms" value { string_value: "5" } })");
  model("n", "900us");
  constexpr int kEach = 150;
  std::atomic<int> answered{0};
  {
    std::shared_ptr<Recorder> recorder = Recorder::open(path_).value();
    const auto s = service(2, [&](ServiceOptions& options) {
      options.models.control = model::ControlMode::kExplicit;
      options.models.load_at_start = {"*"};
      options.recorder = recorder;
    });
    ASSERT_TRUE(s->start().ok());
    std::vector<std::thread> clients;
    for (int client = 0; client < 4; ++client) {
      clients.emplace_back([&, client] {
        for (int i = 0; i < kEach; ++i) {
          const auto one = call(client % 2 == 0 ? "m" : "n");
          s->infer(one);
          if (i % 10 == 3) s->cancel(*one);
          (void)one->wait();
          ++answered;
        }
      });
    }
    ASSERT_TRUE(soon([&] { return answered.load() > kEach; }));
    EXPECT_TRUE(s->change_params("m", {{"slo_ms", "1"}}).ok());
    EXPECT_TRUE(s->change_policy("temporal").ok());
    EXPECT_TRUE(wait_for([&](auto done) { s->models().load({"n", {}, {}}, done); }).ok());
    EXPECT_TRUE(s->change_policy("dstack").ok());
    for (std::thread& client : clients) client.join();
    EXPECT_TRUE(s->drain(std::chrono::seconds(10)));
  }
  const auto again = sim::replay(content(path_), {});
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_FALSE(again->difference.has_value()) << sim::replay_text(*again);
  EXPECT_EQ(again->ended, "");
  ASSERT_EQ(again->devices.size(), 2U);
  ASSERT_EQ(again->models.size(), 2U);
  EXPECT_GE(again->models[0].requests + again->models[1].requests, 4U * kEach) << "some may be asked of both devices";
  for (const auto& device : again->devices) EXPECT_GT(device.steps, 10U) << device.name;
}

TEST_F(RecorderTest, EndsWhereTheFileIsAsLongAsItMayBe) {
  {
    const auto recorder = Recorder::open(path_, {.file = Bytes{4096}}).value();
    timers(*recorder, [](int i) { return i == 1000; });
  }
  EXPECT_EQ(end_of(), "the file is as long as it may be");
  EXPECT_LT(fs::file_size(path_), 4300U);
  EXPECT_GT(fs::file_size(path_), 3900U);
}

TEST_F(RecorderTest, EndsWhereTheDiskDoesNotKeepPace) {
  {
    const auto recorder = Recorder::open(path_, {.unwritten = Bytes{512}}).value();
    timers(*recorder, [](int i) { return i == 100'000; });
  }
  EXPECT_EQ(end_of(), "the disk does not keep pace");
}

TEST_F(RecorderTest, IsThereUpToLatelyWhereTheProcessIsKilled) {
  const auto recorder = Recorder::open(path_).value();
  timers(*recorder, [](int i) { return i == 100; });
  // Nobody says that it is over.
  ASSERT_TRUE(soon([&] {
    const auto again = sim::replay(content(path_), {});
    return again.ok() && again->devices.size() == 1 && again->devices[0].steps == 100 &&
           again->ended == "without a last record: the server was killed";
  }));
}

TEST_F(RecorderTest, AFileThatCannotBeWrittenIsSaid) {
  const auto none = Recorder::open("/nowhere/journal");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message().find("cannot record into /nowhere/journal"), std::string::npos);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(Recorder::open(path_).ok()) << "a pipe that nobody reads";
}

// The process may write no more than 64 KB into a file.
TEST_F(RecorderTest, AFullDiskIsSaidInTheFile) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{64 << 10, before.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  {
    const auto recorder = Recorder::open(path_).value();
    timers(*recorder, [](int i) { return i == 20'000; });
    recorder->finish();
    recorder->finish();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(end_of(), "cannot write: File too large");
}

}  // namespace
}  // namespace tessera::runtime::test
