// Models that leave a device for want of memory and come back.
#include <gtest/gtest.h>

#include <chrono>

#include "base/clock.h"
#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kEvictable = R"(parameters { key: "evictable" value { string_value: "true" } })";
constexpr const char* kAside = "READY set aside for want of memory: comes back at its next request";

class AsideTest : public LifecycleTest {
 protected:
  // Explicit control, with room for so many models.
  void begin_with_room(int room, ControlMode control = ControlMode::kExplicit) {
    engine.room->store(room);
    begin(control);
  }
  void write(const std::string& name, bool evictable = true, const std::string& version = "1") {
    repository.write(name + "/" + version + "/model.onnx", "batched");
    repository.write(name + "/config.pbtxt", evictable ? kEvictable : "");
  }
  // Used that long after all others that are not in the host's list.
  void used(const std::string& name, seconds when) { host.use(name, TimePoint(when)); }
  // What a request for a model that is set aside leads to.
  void bring_back(const std::string& name) {
    lifecycle->bring_back(0, name);
    EXPECT_TRUE(unload("nobody").ok());  // which is behind it in the queue
  }
};

TEST_F(AsideTest, TheLeastRecentlyUsedLeavesWhereMemoryIsShort) {
  for (const char* name : {"a", "b", "c", "new"}) write(name);
  begin_with_room(3);
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(load(name).ok());
  used("a", seconds(3));
  used("b", seconds(1));
  used("c", seconds(2));
  ASSERT_TRUE(load("new").ok());
  EXPECT_EQ(host.journal.events("aside"), (Lines{"aside b/1"}));
  EXPECT_EQ(index(), (Lines{"a 1 READY ", std::string("b 1 ") + kAside, "c 1 READY ", "new 1 READY "}));
  EXPECT_EQ(host.serving("b"), nullptr);
}

TEST_F(AsideTest, AsManyLeaveAsItTakes) {
  for (const char* name : {"a", "b", "new"}) write(name);
  begin_with_room(2);
  for (const char* name : {"a", "b"}) ASSERT_TRUE(load(name).ok());
  used("a", seconds(2));
  used("b", seconds(1));
  host.on_aside = [&](const Instance& instance) {
    if (instance.name == "b") engine.room->fetch_sub(1);  // what it leaves is too little
  };
  ASSERT_TRUE(load("new").ok());
  EXPECT_EQ(host.journal.events("aside"), (Lines{"aside b/1", "aside a/1"}));
}

TEST_F(AsideTest, ModelsThatAreNotMarkedStay) {
  write("a", false);
  write("new");
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  EXPECT_EQ(
      text(load("new")),
      "out of memory: load failed for model 'new': version 1 is at UNAVAILABLE state: no memory left; no other model "
      "on the device is marked 'evictable': unload a model, mark idle ones 'evictable', or bound models by "
      "'memory_limit_mb'");
  EXPECT_EQ(host.journal.count("aside"), 0U);
  EXPECT_EQ(host.journal.count("withdraw"), 0U);
}

TEST_F(AsideTest, WhatARequestBroughtStays) {
  write("new");
  begin_with_room(1);
  const std::string config = R"({"name":"brought","parameters":{"evictable":{"string_value":"true"}}})";
  ASSERT_TRUE(load(LoadRequest{"brought", config, {{"1/model.onnx", "batched"}}}).ok());
  EXPECT_NE(text(load("new")).find("no other model on the device is marked"), std::string::npos);
}

TEST_F(AsideTest, BusyModelsStayAndAreWaitedForHalfASecond) {
  write("a");
  write("new");
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  host.use("a", std::nullopt);
  const TimePoint begin = now();
  EXPECT_NE(text(load("new")).find("no model marked 'evictable' was idle within 0.5 s"), std::string::npos);
  EXPECT_GE(now() - begin, milliseconds(500));
  EXPECT_EQ(host.journal.count("aside"), 0U);
}

TEST_F(AsideTest, OneThatBecomesIdleMeanwhileLeaves) {
  write("a");
  write("new");
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  host.use("a", std::nullopt);
  auto loaded = std::async(std::launch::async, [&] { return load("new"); });
  while (host.looks < 3) std::this_thread::yield();
  used("a", seconds(1));
  EXPECT_EQ(text(loaded.get()), "ok");
  EXPECT_EQ(host.journal.events("aside"), (Lines{"aside a/1"}));
}

TEST_F(AsideTest, ItComesBackAndAnotherLeavesForIt) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(load("b").ok());
  bring_back("a");
  EXPECT_EQ(host.journal.events("aside"), (Lines{"aside a/1", "aside b/1"}));
  EXPECT_EQ(host.journal.events("end aside"), (Lines{"end aside a"}));
  EXPECT_EQ(index(), (Lines{"a 1 READY ", std::string("b 1 ") + kAside}));
  bring_back("a");  // asked for twice
  EXPECT_EQ(host.journal.count("publish a"), 2U);
}

TEST_F(AsideTest, AReturnThatFailsIsToldAndCanBeTriedAgain) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(load("b").ok());
  host.use("b", std::nullopt);
  bring_back("a");
  ASSERT_EQ(host.journal.count("return failed a: load failed for model 'a': version 1 is at UNAVAILABLE state: "), 1U);
  EXPECT_EQ(index().front().rfind(std::string("a 1 ") + kAside + "; the last attempt failed: ", 0), 0U);
  used("b", seconds(1));
  bring_back("a");
  EXPECT_EQ(index().front(), "a 1 READY ");
}

TEST_F(AsideTest, UnloadedWhileAwayItIsGone) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(load("b").ok());
  ASSERT_TRUE(unload("a").ok());
  EXPECT_EQ(host.journal.events("end aside"), (Lines{"end aside a: model 'a' was unloaded"}));
  EXPECT_EQ(index().front(), "a 1 UNAVAILABLE unloaded");
  bring_back("a");
  EXPECT_EQ(host.journal.count("publish a"), 1U);
}

TEST_F(AsideTest, LoadedWhileAwayItIsBack) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(load("b").ok());
  ASSERT_TRUE(load("a").ok());
  EXPECT_EQ(host.journal.events("end aside"), (Lines{"end aside a"}));
  EXPECT_EQ(index(), (Lines{"a 1 READY ", std::string("b 1 ") + kAside}));
}

TEST_F(AsideTest, AnotherVersionWhileAwayIsWhatComesBack) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(load("b").ok());
  write("a", true, "2");
  bring_back("a");
  EXPECT_EQ(host.journal.events("publish a"), (Lines{"publish a/1", "publish a/2"}));
  EXPECT_EQ(host.journal.events("end aside"), (Lines{"end aside a"}));
  EXPECT_EQ(index()[0], "a 1 UNAVAILABLE version is not selected any more");
  EXPECT_EQ(index()[1], "a 2 READY ");
}

TEST_F(AsideTest, AConfigurationThatIsWrongWhileAwayIsToldAtTheReturn) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(load("b").ok());
  repository.write("a/config.pbtxt", "max_batch_size: many");
  bring_back("a");
  ASSERT_EQ(host.journal.count("return failed a: "), 1U);
  EXPECT_NE(host.journal.events("return failed").front().find("Expected integer"), std::string::npos);
  write("a");
  bring_back("a");
  EXPECT_EQ(index().front(), "a 1 READY ");
}

TEST_F(AsideTest, TheConfigurationThatALoadGaveIsWhatComesBack) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  const std::string config = R"({"name":"a","max_batch_size":4,"parameters":{"evictable":{"string_value":"true"}}})";
  ASSERT_TRUE(load(LoadRequest{"a", config, {}}).ok());
  ASSERT_TRUE(load("b").ok());
  bring_back("a");
  EXPECT_EQ(host.serving("a")->signature.max_batch_size, 4);
}

TEST_F(AsideTest, PollingLeavesItAwayUntilItsFilesChange) {
  options.poll_interval = seconds(0);
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1, ControlMode::kPoll);
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_EQ(host.journal.events("aside"), (Lines{"aside a/1"}));
  write("c");  // noticed by a poll that saw `a` as well
  ASSERT_TRUE(host.journal.wait("publish c/1", 1));
  EXPECT_EQ(host.journal.count("publish a"), 1U);
  write("a", true, "2");
  ASSERT_TRUE(host.journal.wait("publish a/2", 1));
  std::filesystem::remove_all(repository / "b");
  ASSERT_TRUE(host.journal.wait("end aside b: model 'b' was unloaded", 1));
}

TEST_F(AsideTest, AfterTheEndOfLoadingNothingIsBroughtBack) {
  for (const char* name : {"a", "b"}) write(name);
  begin_with_room(1);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(load("b").ok());
  lifecycle->stop_loading();
  lifecycle->bring_back(0, "a");
  EXPECT_EQ(host.journal.events("return failed"), (Lines{"return failed a: the server is stopping"}));
}

}  // namespace
}  // namespace tessera::model
