#include "model/lifecycle.h"

#include <gtest/gtest.h>

#include "model/loader.h"
#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

TEST_F(LifecycleTest, AFolderWithOneFileIsARepository) {
  repository.write("net.onnx", "batched");
  begin(ControlMode::kNone);
  ASSERT_TRUE(started.ok()) << started.error().message();
  ASSERT_EQ(host.serving().size(), 1U);
  const auto instance = host.serving("net");
  EXPECT_EQ(instance->version, 1);
  EXPECT_EQ(instance->signature.max_batch_size, 8);
  EXPECT_EQ(instance->digest.size(), 64U);
  EXPECT_EQ(index(), (Lines{"net 1 READY "}));
}

TEST_F(LifecycleTest, PublishesWithTwoSlicesAndHomesTheRestBehind) {
  repository.write("m/1/model.onnx", "batched");
  begin(ControlMode::kNone);
  ASSERT_TRUE(started.ok());
  const std::size_t slices = host.device().shape().ladder.size();
  ASSERT_TRUE(host.journal.wait("ready m ", slices));
  const Lines all = host.journal.events();
  const auto at = [&](const std::string& event) { return std::find(all.begin(), all.end(), event) - all.begin(); };
  EXPECT_LT(at("home 1.0@0+4"), at("publish m/1"));
  EXPECT_LT(at("home 1.0@3+1"), at("publish m/1"));
  EXPECT_GT(at("home 1.0@0+1"), at("publish m/1"));
  EXPECT_LT(at("publish m/1"), at("ready m 0+4"));
  EXPECT_EQ(host.journal.count("ready m "), slices);
  EXPECT_EQ(host.journal.count("home "), slices);
}

TEST_F(LifecycleTest, EveryBucketAndLaneIsHomedWhereTheEngineNeedsIt) {
  engine.habits.one_plan = false;
  repository.write("m/1/model.onnx", "batched");
  repository.write("m/config.pbtxt", "max_batch_size: 4 instance_group { count: 3 }");
  begin(ControlMode::kNone);
  ASSERT_TRUE(started.ok());
  ASSERT_TRUE(host.journal.wait("ready m ", host.device().shape().ladder.size()));
  EXPECT_EQ(host.journal.count("home "), 3 * 3 * host.device().shape().ladder.size());
}

TEST_F(LifecycleTest, StartReportsTheFirstFailureAndLoadsTheOthers) {
  repository.write("a/1/model.onnx", "rubbish");
  repository.write("b/1/model.onnx", "batched");
  std::filesystem::create_directories(repository / "c");
  begin(ControlMode::kNone);
  EXPECT_EQ(text(started),
            "invalid argument: load failed for model 'a': version 1 is at UNAVAILABLE state: no model: 'rubbish'");
  EXPECT_EQ(host.journal.events("publish"), (Lines{"publish b/1"}));
  EXPECT_EQ(index(), (Lines{"a 1 UNAVAILABLE no model: 'rubbish'", "b 1 READY ",
                            "c  UNAVAILABLE model 'c' has neither a version folder nor an .onnx file"}));
}

TEST_F(LifecycleTest, ExplicitModeLoadsWhatItIsTold) {
  for (const char* name : {"a", "b", "c"}) repository.write(std::string(name) + "/1/model.onnx", "batched");
  options.load_at_start = {"b"};
  begin();
  ASSERT_TRUE(started.ok());
  EXPECT_EQ(index(), (Lines{"a   ", "b 1 READY ", "c   "}));
  ASSERT_TRUE(load("c").ok());
  ASSERT_TRUE(unload("b").ok());
  EXPECT_EQ(index(), (Lines{"a   ", "b 1 UNAVAILABLE unloaded", "c 1 READY "}));
  EXPECT_TRUE(unload("nobody").ok());
  EXPECT_TRUE(unload("../b").ok());
}

TEST_F(LifecycleTest, AStarLoadsAllAtStart) {
  for (const char* name : {"a", "b"}) repository.write(std::string(name) + "/1/model.onnx", "batched");
  options.load_at_start = {"*"};
  begin();
  EXPECT_EQ(host.serving().size(), 2U);
}

TEST_F(LifecycleTest, AMissingModelAtStartIsAnError) {
  options.load_at_start = {"nobody"};
  begin();
  EXPECT_EQ(text(started), "not found: failed to load 'nobody', failed to poll from model repository");
  EXPECT_EQ(index(), Lines{});
}

TEST_F(LifecycleTest, AMissingRepositoryIsAnError) {
  options.repositories = {repository / "nowhere"};
  begin();
  EXPECT_FALSE(started.ok());
}

TEST_F(LifecycleTest, OtherModesRefuseLoadsAndUnloads) {
  repository.write("m/1/model.onnx", "batched");
  for (const ControlMode mode : {ControlMode::kNone, ControlMode::kPoll}) {
    begin(mode);
    const std::string refusal = "unavailable: explicit model load / unload is not allowed if polling is enabled";
    EXPECT_EQ(text(load("m")), refusal);
    EXPECT_EQ(text(unload("m")), refusal);
    EXPECT_EQ(host.serving().size(), 1U);
    lifecycle.reset();
  }
}

TEST_F(LifecycleTest, ErrorsOfALoadAreWhatClientsMatch) {
  repository.write("odd/1/model.onnx", "batched");
  repository.write("odd/config.pbtxt", "max_batch_size: many");
  repository.write("bad/1/model.onnx", "batched");
  repository.write("bad/config.pbtxt", "sequence_batching { }");
  repository.write("empty/1/readme.txt", "");
  begin();
  EXPECT_EQ(text(load("nobody")), "not found: failed to load 'nobody', failed to poll from model repository");
  EXPECT_EQ(text(load("odd")),
            "invalid argument: failed to load 'odd', failed to poll from model repository: config line 1, field "
            "'max_batch_size': Expected integer, got: many");
  EXPECT_EQ(text(load("bad")),
            "unsupported: load failed for model 'bad': version 1 is at UNAVAILABLE state: sequence_batching: sequences "
            "are not supported yet");
  EXPECT_EQ(text(load("empty")).find("invalid argument: load failed for model 'empty'"), 0U);
  for (const char* name : {"", ".", "..", "../odd", "odd/1", "/etc", ".hidden"}) {
    EXPECT_EQ(text(load(name)).rfind("invalid argument: failed to load '", 0), 0U) << name;
  }
  EXPECT_TRUE(host.serving().empty());
}

TEST_F(LifecycleTest, AFailedLoadLeavesTheOldVersionServing) {
  repository.write("m/1/model.onnx", "batched");
  begin();
  ASSERT_TRUE(load("m").ok());
  const auto before = host.serving("m");
  repository.write("m/1/model.onnx", "rubbish");
  EXPECT_FALSE(load("m").ok());
  EXPECT_EQ(host.serving("m"), before);
  EXPECT_EQ(index(), (Lines{"m 1 READY "}));
  EXPECT_EQ(host.journal.count("withdraw"), 0U);
  // A new version that is broken changes nothing either.
  repository.write("m/1/model.onnx", "batched");
  repository.write("m/2/model.onnx", "rubbish");
  EXPECT_FALSE(load("m").ok());
  EXPECT_EQ(host.serving("m")->version, 1);
  EXPECT_EQ(index(), (Lines{"m 1 READY ", "m 2 UNAVAILABLE no model: 'rubbish'"}));
  host.refuse_publish = true;
  repository.write("m/2/model.onnx", "batched");
  EXPECT_FALSE(load("m").ok());
  EXPECT_EQ(host.serving("m")->version, 1);
}

TEST_F(LifecycleTest, ANewVersionIsPublishedBeforeTheOldOneGoes) {
  repository.write("m/1/model.onnx", "batched");
  begin();
  ASSERT_TRUE(load("m").ok());
  repository.write("m/2/model.onnx", "batched");
  ASSERT_TRUE(load("m").ok());
  const Lines events = host.journal.events();
  const auto at = [&](const std::string& event) { return std::find(events.begin(), events.end(), event); };
  EXPECT_LT(at("publish m/2"), at("withdraw m/1"));
  EXPECT_NE(at("withdraw m/1"), events.end());
  ASSERT_EQ(host.serving().size(), 1U);
  EXPECT_EQ(index(), (Lines{"m 1 UNAVAILABLE version is not selected any more", "m 2 READY "}));
}

TEST_F(LifecycleTest, SeveralVersionsServeAndTheUnchangedAreKept) {
  repository.write("m/config.pbtxt", "version_policy { all { } }");
  repository.write("m/1/model.onnx", "batched");
  repository.write("m/3/model.onnx", "batched\nother weights");
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.journal.events("publish"), (Lines{"publish m/3", "publish m/1"}));
  repository.write("m/3/model.onnx", "batched\nnewer weights");
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.journal.events("publish"), (Lines{"publish m/3", "publish m/1", "publish m/3"}));
  EXPECT_EQ(host.journal.events("withdraw"), (Lines{"withdraw m/3"}));
  EXPECT_EQ(index(), (Lines{"m 1 READY ", "m 3 READY "}));
}

TEST_F(LifecycleTest, LoadingAgainWithoutAChangeDoesNothing) {
  repository.write("m/1/model.onnx", "batched");
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.journal.count("reloaded"), 0U);
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.journal.count("load "), 1U);
  EXPECT_EQ(host.journal.count("reloaded m/1"), 1U) << "what was changed while it served holds no more";
  repository.write("m/config.pbtxt", "max_batch_size: 2");
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.serving("m")->signature.max_batch_size, 2);
  EXPECT_EQ(host.serving().size(), 1U);
}

TEST_F(LifecycleTest, ALoadMayOverrideTheConfiguration) {
  repository.write("m/1/model.onnx", "batched");
  repository.write("m/config.pbtxt", "max_batch_size: 4");
  begin();
  ASSERT_TRUE(load("m").ok());
  ASSERT_TRUE(load(LoadRequest{"m", R"({"max_batch_size": 2})", {}}).ok());
  EXPECT_EQ(host.serving("m")->signature.max_batch_size, 2);
  EXPECT_FALSE(load(LoadRequest{"m", "{", {}}).ok());
  EXPECT_FALSE(load(LoadRequest{"m", R"({"name": "other"})", {}}).ok());
  EXPECT_EQ(host.serving("m")->signature.max_batch_size, 2);
  // Without an override the repository's counts again.
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.serving("m")->signature.max_batch_size, 4);
}

TEST_F(LifecycleTest, ALoadMayBringTheFiles) {
  begin();
  EXPECT_EQ(text(load(LoadRequest{"m", std::nullopt, {{"1/model.onnx", "batched"}}})),
            "invalid argument: failed to load 'm', failed to poll from model repository: files can only be brought "
            "together with a config");
  ASSERT_TRUE(load(LoadRequest{"m", "{}", {{"7/model.onnx", "external w.bin"}, {"7/w.bin", "1234"}}}).ok());
  EXPECT_EQ(host.serving("m")->version, 7);
  const std::filesystem::path brought = engine.last_options.file;
  EXPECT_TRUE(std::filesystem::exists(brought));
  EXPECT_FALSE(std::filesystem::exists(repository / "m"));
  for (const char* path :
       {"../1/model.onnx", "1/../../evil", "1/..", "model.onnx", "1/", "0/model.onnx", "01/a.onnx", "x/model.onnx",
        "-1/model.onnx", "99999999999999999999/m.onnx", "1/a/b.onnx", "/etc/x", ""}) {
    EXPECT_EQ(
        text(load(LoadRequest{"evil", "{}", {{path, "batched"}}})).find("invalid argument: failed to load 'evil'"), 0U)
        << path;
  }
  EXPECT_EQ(text(load(LoadRequest{"..", "{}", {{"1/model.onnx", "batched"}}})).find("invalid argument"), 0U);
  ASSERT_TRUE(unload("m").ok());
  EXPECT_FALSE(std::filesystem::exists(brought));
}

TEST_F(LifecycleTest, FilesReplacedWhileLoadingAreReadAnew) {
  repository.write("m/1/model.onnx", "batched\nold");
  begin();
  int loads = 0;
  engine.on_load = [&](const engine::LoadOptions& options) {
    if (++loads == 1) std::ofstream(options.file) << "batched\nnewer";
  };
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(loads, 2);
  const std::string digest = host.serving("m")->digest;
  // The same content alone gives the same digest.
  engine.on_load = nullptr;
  repository.write("n/1/model.onnx", "batched\nnewer");
  ASSERT_TRUE(load("n").ok());
  EXPECT_EQ(host.serving("n")->digest, digest);
}

TEST_F(LifecycleTest, FilesThatNeverRestAreAnError) {
  repository.write("m/1/model.onnx", "external w.bin");
  repository.write("m/1/w.bin", "0");
  begin();
  int loads = 0;
  engine.on_load = [&](const engine::LoadOptions& options) {
    std::ofstream(options.file.parent_path() / "w.bin") << ++loads;
  };
  EXPECT_NE(text(load("m")).find("kept changing while they were loaded"), std::string::npos);
  EXPECT_EQ(loads, kLoadAttempts);
  EXPECT_TRUE(host.serving().empty());
}

TEST_F(LifecycleTest, ABrokenFileThatWasHalfWrittenIsReadAnew) {
  repository.write("m/1/model.onnx", "bat");
  begin();
  engine.on_inspect = [&](const std::filesystem::path& file) {
    engine.on_inspect = nullptr;
    std::ofstream(file) << "batched";  // its writer goes on after the first look
  };
  EXPECT_EQ(text(load("m")), "ok");
}

TEST_F(LifecycleTest, ExternalDataIsConfinedAndPartOfTheDigest) {
  repository.write("secret.bin", "s");
  repository.write("m/1/model.onnx", "external w.bin");
  repository.write("m/1/w.bin", "1");
  begin();
  ASSERT_TRUE(load("m").ok());
  const std::string digest = host.serving("m")->digest;
  repository.write("m/1/w.bin", "2");
  ASSERT_TRUE(load("m").ok());
  EXPECT_NE(host.serving("m")->digest, digest);
  std::filesystem::create_symlink("../../secret.bin", repository / "m" / "1" / "link.bin");
  std::filesystem::create_directories(repository / "m" / "1" / "dir");
  for (const char* location : {"../../secret.bin", "/etc/passwd", "link.bin", "missing.bin", "dir", "../1"}) {
    repository.write("m/1/model.onnx", "external " + std::string(location));
    const std::string error = text(load("m"));
    EXPECT_EQ(error.rfind("invalid argument: load failed for model 'm'", 0), 0U) << error;
    EXPECT_NE(error.find("external data"), std::string::npos) << error;
  }
  EXPECT_EQ(host.serving().size(), 1U);
}

TEST_F(LifecycleTest, LabelsAreReadAndWrongOnesRefused) {
  repository.write("m/1/model.onnx", "batched");
  repository.write("m/config.pbtxt", "output { name: \"y\" label_filename: \"l.txt\" }");
  begin();
  EXPECT_NE(text(load("m")).find("label_filename"), std::string::npos);
  repository.write("m/l.txt", "cat\r\ndog\n\nbird");
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.serving("m")->labels.at("y"), (Lines{"cat", "dog", "", "bird"}));
  repository.write("m/l.txt", "\xff");
  EXPECT_NE(text(load("m")).find("UTF-8"), std::string::npos);
}

TEST_F(LifecycleTest, MemoryLimitsAreKept) {
  repository.write("m/1/model.onnx", "batched");
  const auto limit = [](const std::string& mb) {
    return R"({"parameters": {"memory_limit_mb": {"string_value": ")" + mb + R"("}}})";
  };
  begin();
  EXPECT_NE(text(load(LoadRequest{"m", limit("11"), {}})).find("parameters.memory_limit_mb"), std::string::npos);
  ASSERT_TRUE(load(LoadRequest{"m", limit("13"), {}}).ok());
  repository.write("n/1/model.onnx", "batched");
  ASSERT_TRUE(load("n").ok());
  ASSERT_TRUE(host.journal.wait("ready n ", host.device().shape().ladder.size()));
  EXPECT_EQ(host.journal.count("ready m "), 3U);
}

TEST_F(LifecycleTest, PollingFollowsTheRepository) {
  options.poll_interval = std::chrono::seconds(0);
  repository.write("a/1/model.onnx", "batched");
  begin(ControlMode::kPoll);
  ASSERT_TRUE(started.ok());
  repository.write("b/1/model.onnx", "batched");
  ASSERT_TRUE(host.journal.wait("publish b/1", 1));
  repository.write("a/2/model.onnx", "batched");
  ASSERT_TRUE(host.journal.wait("publish a/2", 1));
  ASSERT_TRUE(host.journal.wait("withdraw a/1", 1));
  repository.write("b/1/model.onnx", "rubbish");
  repository.write("c/1/model.onnx", "rubbish");
  std::filesystem::remove_all(repository / "a");
  ASSERT_TRUE(host.journal.wait("withdraw a/2", 1));
  EXPECT_EQ(host.journal.count("withdraw b"), 0U);
  repository.write("c/1/model.onnx", "batched");
  ASSERT_TRUE(host.journal.wait("publish c/1", 1));
  EXPECT_EQ(host.journal.count("publish b/1"), 1U);
}

TEST_F(LifecycleTest, TheEndUnloadsAllAndAnswersWhatWaits) {
  repository.write("m/1/model.onnx", "batched");
  repository.write("n/1/model.onnx", "batched");
  begin();
  ASSERT_TRUE(load("m").ok());
  std::promise<void> inside;
  std::promise<void> go_on;
  engine.on_load = [&](const engine::LoadOptions&) {
    inside.set_value();
    go_on.get_future().wait();
  };
  std::vector<std::string> answers;
  lifecycle->load({"n", std::nullopt, {}}, [&](const Status& status) { answers.push_back(text(status)); });
  inside.get_future().wait();
  lifecycle->unload("m", [&](const Status& status) { answers.push_back(text(status)); });
  std::thread end([&] { lifecycle.reset(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  go_on.set_value();
  end.join();
  ASSERT_EQ(answers.size(), 2U);
  for (const std::string& answer : answers) EXPECT_NE(answer.find("the server is stopping"), std::string::npos);
  EXPECT_EQ(host.journal.events("withdraw"), (Lines{"withdraw m/1"}));
}

TEST_F(LifecycleTest, LoadingStopsAndWhatServesGoesOn) {
  repository.write("m/1/model.onnx", "batched");
  repository.write("n/1/model.onnx", "batched");
  begin();
  ASSERT_TRUE(load("m").ok());
  std::promise<void> inside;
  std::promise<void> go_on;
  engine.on_load = [&](const engine::LoadOptions&) {
    inside.set_value();
    go_on.get_future().wait();
  };
  std::atomic<int> stopped{0};
  const auto count = [&](const Status& status) {
    stopped += !status.ok() && status.error().code() == ErrorCode::kUnavailable ? 1 : 0;
  };
  lifecycle->load({"n", std::nullopt, {}}, count);
  inside.get_future().wait();
  lifecycle->unload("m", count);  // waits behind the load
  lifecycle->stop_loading();
  lifecycle->load({"n", std::nullopt, {}}, count);
  EXPECT_EQ(stopped, 1);
  EXPECT_FALSE(lifecycle->loading_ended(std::chrono::milliseconds(10)));
  go_on.set_value();
  EXPECT_TRUE(lifecycle->loading_ended(std::chrono::seconds(10)));
  EXPECT_EQ(stopped, 3);
  EXPECT_EQ(host.serving().size(), 1U);
  EXPECT_EQ(host.journal.count("withdraw"), 0U);
}

TEST_F(LifecycleTest, AStartDoesNotOutlastTheEndOfLoading) {
  for (const char* name : {"a", "b"}) repository.write(std::string(name) + "/1/model.onnx", "batched");
  std::promise<void> go_on;
  std::atomic<int> loads{0};
  engine.on_load = [&](const engine::LoadOptions&) {
    if (loads++ > 0) return;
    lifecycle->stop_loading();
    go_on.get_future().wait();
  };
  options.load_at_start = {"*"};
  begin();  // returns although the loader thread is still inside
  EXPECT_EQ(started.error().code(), ErrorCode::kUnavailable);
  go_on.set_value();
  EXPECT_TRUE(lifecycle->loading_ended(std::chrono::seconds(10)));
  EXPECT_EQ(loads, 1);
  EXPECT_TRUE(host.serving().empty());
}

TEST_F(LifecycleTest, LoadingStopsBetweenTheRunsOfAWarmUp) {
  repository.write("m/1/model.onnx", "batched");
  repository.write("m/config.pbtxt",
                   "max_batch_size: 4 model_warmup { name: \"w\" count: 1000 inputs { key: \"x\" value { "
                   "data_type: TYPE_FP32 dims: [16] zero_data: true } } }");
  begin();
  std::atomic<int> runs{0};
  host.device().run = [&](const Slice&, Batch&) {
    if (++runs == 10) lifecycle->stop_loading();
    return ok_status();
  };
  EXPECT_EQ(load("m").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(runs, 10);
}

TEST_F(LifecycleTest, WaitingLoadsAreBounded) {
  repository.write("m/1/model.onnx", "batched");
  begin();
  std::promise<void> inside;
  std::promise<void> go_on;
  engine.on_load = [&](const engine::LoadOptions&) {
    inside.set_value();
    go_on.get_future().wait();
  };
  std::atomic<std::size_t> answered{0};
  std::atomic<std::size_t> refused{0};
  const auto count = [&](const Status& status) {
    ++answered;
    if (!status.ok() && status.error().code() == ErrorCode::kResourceExhausted) ++refused;
  };
  lifecycle->load({"m", std::nullopt, {}}, count);
  inside.get_future().wait();
  for (std::size_t i = 0; i < kMaxWaitingLoads + 5; ++i) lifecycle->unload("nobody", count);
  EXPECT_EQ(refused, 5U);
  go_on.set_value();
  lifecycle.reset();
  EXPECT_EQ(answered, kMaxWaitingLoads + 6);
}

}  // namespace
}  // namespace tessera::model
