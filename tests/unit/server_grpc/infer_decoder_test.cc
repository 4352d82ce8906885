#include "server/grpc/decode/infer_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <utility>

#include "fake_memory.h"
#include "grpc_service.pb.h"

namespace tessera::server {
namespace {

using inference::ModelInferRequest;
using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// The message in pieces of `piece` bytes, as a connection may deliver it.
std::vector<std::span<const std::byte>> cut(const std::string& message, std::size_t piece) {
  std::vector<std::span<const std::byte>> pieces;
  for (auto rest = bytes_of(message); !rest.empty();) {
    const auto first = rest.first(std::min(piece, rest.size()));
    pieces.push_back(first);
    rest = rest.subspan(first.size());
  }
  return pieces;
}

struct Outcome {
  Status status;
  DecodedInfer decoded;
  FakeMemory memory;
};

void decode(const std::string& message, Outcome& out, std::size_t piece = SIZE_MAX) {
  out.status = decode_infer(cut(message, piece), out.memory, out.decoded);
}

void decode(const ModelInferRequest& message, Outcome& out, std::size_t piece = SIZE_MAX) {
  decode(message.SerializeAsString(), out, piece);
}

Error error_of(const std::string& message) {
  Outcome out;
  decode(message, out);
  if (out.status.ok()) {
    ADD_FAILURE() << "was accepted";
    return internal_error("");
  }
  return out.status.error();
}

ModelInferRequest add_sub() {
  ModelInferRequest request;
  request.set_model_name("simple");
  request.set_id("r1");
  for (const char* name : {"INPUT0", "INPUT1"}) {
    auto& input = *request.add_inputs();
    input.set_name(name);
    input.set_datatype("INT32");
    input.add_shape(1);
    input.add_shape(16);
    std::string raw(64, '\0');
    for (std::size_t i = 0; i < 16; ++i) raw[4 * i] = static_cast<char>(static_cast<int>(i) + name[5]);
    request.add_raw_input_contents(raw);
  }
  return request;
}

template <typename T>
std::vector<T> values(const InputTensor& input) {
  std::vector<T> out(input.tensor.data.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), input.tensor.data.data(), input.tensor.data.size());
  return out;
}

TEST(InferDecoder, ReadsAWholeRequestHoweverItIsCut) {
  ModelInferRequest message = add_sub();
  message.set_model_version("3");
  (*message.mutable_parameters())["priority"].set_uint64_param(2);
  (*message.mutable_parameters())["timeout"].set_int64_param(1500);
  (*message.mutable_parameters())["triton_enable_empty_final_response"].set_bool_param(true);
  (*message.mutable_parameters())["somebody's own"].set_string_param("x");
  message.add_outputs()->set_name("OUTPUT1");
  auto& classified = *message.add_outputs();
  classified.set_name("OUTPUT0");
  (*classified.mutable_parameters())["classification"].set_int64_param(3);
  for (const std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{7}, std::size_t{64}}) {
    Outcome out;
    decode(message, out, piece);
    ASSERT_TRUE(out.status.ok()) << out.status.error().message();
    const InferRequest& request = out.decoded.request;
    EXPECT_EQ(request.model, "simple");
    EXPECT_EQ(request.version, 3);
    EXPECT_EQ(request.id, "r1");
    EXPECT_EQ(request.priority, 2u);
    EXPECT_EQ(request.timeout, std::chrono::microseconds(1500));
    EXPECT_TRUE(out.decoded.empty_final_response);
    EXPECT_EQ(request.outputs, (std::vector<std::string>{"OUTPUT1", "OUTPUT0"}));
    ASSERT_EQ(out.decoded.outputs.size(), 2u);
    EXPECT_EQ(out.decoded.outputs[1].classification, 3u);
    ASSERT_EQ(request.inputs.size(), 2u);
    EXPECT_EQ(request.inputs[1].name, "INPUT1");
    EXPECT_EQ(request.inputs[1].tensor.dtype, DType::kInt32);
    EXPECT_EQ(request.inputs[1].tensor.shape, Shape({1, 16}));
    EXPECT_EQ(values<std::int32_t>(request.inputs[1])[5], 5 + '1');
    EXPECT_EQ(out.decoded.copied, Bytes{128});
  }
}

TEST(InferDecoder, LaysTensorsIntoOneLeaseAlignedTo64Bytes) {
  ModelInferRequest message = add_sub();
  message.set_raw_input_contents(0, std::string(5, 'a'));
  Outcome out;
  decode(message, out);
  ASSERT_TRUE(out.status.ok());
  EXPECT_EQ(out.memory.leased, std::vector<Bytes>{Bytes{128}});
  for (const InputTensor& input : out.decoded.request.inputs) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(input.tensor.data.data()) % 64, 0u);
  }
  EXPECT_EQ(out.decoded.request.inputs[0].tensor.data.size(), 5u);
}

TEST(InferDecoder, TakesFieldsInAnyOrderAndSkipsUnknownOnes) {
  const std::string sent = add_sub().SerializeAsString();
  ModelInferRequest raws;
  raws.mutable_raw_input_contents()->CopyFrom(add_sub().raw_input_contents());
  ModelInferRequest head = add_sub();
  head.clear_raw_input_contents();
  // Field 100 as varint, fixed32, fixed64, text and group, between the raw contents and the rest.
  const std::string unknown("\xa0\x06\x01\xa5\x06zzzz\xa1\x06zzzzzzzz\xa2\x06\x02hi\xa3\x06\xa0\x06\x07\xa4\x06", 31);
  Outcome out;
  decode(raws.SerializeAsString() + unknown + head.SerializeAsString(), out);
  ASSERT_TRUE(out.status.ok()) << out.status.error().message();
  EXPECT_EQ(values<std::int32_t>(out.decoded.request.inputs[0])[3], 3 + '0');
}

TEST(InferDecoder, RefusesEveryTruncationOfAMessage) {
  const std::string whole = add_sub().SerializeAsString();
  std::size_t refused = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Outcome out;
    decode(whole.substr(0, size), out);
    // A cut between two fields leaves a message that is well formed and lacks raw contents or inputs.
    if (!out.status.ok()) {
      EXPECT_EQ(out.status.error().code(), ErrorCode::kInvalidArgument);
      ++refused;
    } else {
      EXPECT_LT(out.decoded.request.inputs.size() + out.memory.leased.size(), 3u);
    }
  }
  EXPECT_GT(refused, whole.size() - 10);
}

TEST(InferDecoder, RefusesLengthsBeyondWhatEnclosesThem) {
  EXPECT_THAT(error_of(std::string("\x0a\xff\xff\xff\xff\x07simple", 12)).message(), HasSubstr("malformed"));
  EXPECT_THAT(error_of(std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01s", 12)).message(),
              HasSubstr("malformed"));
  EXPECT_THAT(error_of(std::string(40, '\x80')).message(), HasSubstr("malformed"));
  EXPECT_THAT(error_of(std::string("\x2a\x02\x0a\x05hello", 9)).message(), HasSubstr("malformed"));  // input's name
  EXPECT_THAT(error_of(std::string("\x00\x01", 2)).message(), HasSubstr("malformed"));               // field 0
  EXPECT_THAT(error_of(std::string("\x0c", 1)).message(), HasSubstr("malformed"));                   // end of no group
  EXPECT_THAT(error_of(std::string(300, '\xa3') + "\x06").message(), HasSubstr("malformed"));        // nested groups
}

TEST(InferDecoder, RefusesNamesThatAreTooLongOrNotUtf8) {
  ModelInferRequest message = add_sub();
  message.set_model_name(std::string(kMaxNameBytes + 1, 'm'));
  EXPECT_THAT(error_of(message.SerializeAsString()).message(), HasSubstr("longer than"));
  std::string bytes = add_sub().SerializeAsString();
  bytes.replace(bytes.find("INPUT0"), 6, "IN\xff\xfeT0");
  EXPECT_THAT(error_of(bytes).message(), HasSubstr("UTF-8"));
}

TEST(InferDecoder, CountsAreBounded) {
  ModelInferRequest inputs;
  for (std::size_t i = 0; i <= kMaxRequestTensors; ++i) inputs.add_inputs();
  EXPECT_THAT(error_of(inputs.SerializeAsString()).message(), HasSubstr("at most 1024 inputs"));
  ModelInferRequest outputs;
  for (std::size_t i = 0; i <= kMaxRequestTensors; ++i) outputs.add_outputs();
  EXPECT_THAT(error_of(outputs.SerializeAsString()).message(), HasSubstr("at most 1024 outputs"));
  ModelInferRequest raws = add_sub();
  for (std::size_t i = 0; i <= kMaxRequestTensors; ++i) raws.add_raw_input_contents("");
  EXPECT_THAT(error_of(raws.SerializeAsString()).message(), HasSubstr("at most 1024 raw_input_contents"));
}

TEST(InferDecoder, RawContentsMustMatchTheInputs) {
  ModelInferRequest few = add_sub();
  few.mutable_raw_input_contents()->RemoveLast();
  EXPECT_EQ(error_of(few.SerializeAsString()).message(), "expected 2 raw_input_contents for model 'simple', got 1");
  ModelInferRequest many = add_sub();
  many.add_raw_input_contents("x");
  EXPECT_EQ(error_of(many.SerializeAsString()).message(), "expected 2 raw_input_contents for model 'simple', got 3");
  ModelInferRequest both = add_sub();
  both.mutable_inputs(1)->mutable_contents()->add_int_contents(1);
  EXPECT_EQ(error_of(both.SerializeAsString()).message(),
            "contents field must not be specified when using raw_input_contents for 'INPUT1' for model 'simple'");
}

TEST(InferDecoder, RefusesBadDatatypesShapesVersionsAndParameters) {
  const auto message_of = [](const std::function<void(ModelInferRequest&)>& change) {
    ModelInferRequest message = add_sub();
    change(message);
    return error_of(message.SerializeAsString()).message();
  };
  EXPECT_THAT(message_of([](auto& m) { m.mutable_inputs(0)->set_datatype("INT33"); }),
              HasSubstr("input 'INPUT0' has an unknown datatype 'INT33'"));
  EXPECT_THAT(message_of([](auto& m) {
                for (int i = 0; i < 60; ++i) m.mutable_inputs(0)->add_shape(1);
              }),
              HasSubstr("62 dimensions"));
  EXPECT_THAT(message_of([](auto& m) { m.set_model_version("one"); }), HasSubstr("'one'"));
  EXPECT_THAT(message_of([](auto& m) { m.set_model_version("0"); }), HasSubstr("'0'"));
  EXPECT_THAT(message_of([](auto& m) { (*m.mutable_parameters())["timeout"].set_int64_param(-1); }),
              HasSubstr("'timeout'"));
  EXPECT_THAT(message_of([](auto& m) { (*m.mutable_parameters())["priority"].set_string_param("1"); }),
              HasSubstr("'priority'"));
  EXPECT_THAT(message_of([](auto& m) {
                m.add_outputs()->set_name("O");
                (*m.mutable_outputs(0)->mutable_parameters())["classification"].set_int64_param(-3);
              }),
              HasSubstr("output 'O'"));
}

TEST(InferDecoder, ErrorsKeepTheIdAndTheModel) {
  ModelInferRequest message = add_sub();
  message.mutable_inputs(0)->set_datatype("INT33");
  Outcome out;
  decode(message, out);
  ASSERT_FALSE(out.status.ok());
  EXPECT_EQ(out.decoded.request.id, "r1");
  EXPECT_EQ(out.decoded.request.model, "simple");
}

TEST(InferDecoder, PassesOnThatMemoryIsFull) {
  ModelInferRequest message = add_sub();
  message.set_model_name("full");
  EXPECT_EQ(error_of(message.SerializeAsString()).code(), ErrorCode::kResourceExhausted);
}

void place_in(inference::ModelInferRequest::InferInputTensor& input, const std::string& region, std::int64_t size) {
  (*input.mutable_parameters())["shared_memory_region"].set_string_param(region);
  (*input.mutable_parameters())["shared_memory_byte_size"].set_int64_param(size);
}

TEST(InferDecoder, InputsMayLieInSharedMemory) {
  ModelInferRequest message = add_sub();
  place_in(*message.mutable_inputs(0), "region", 64);
  message.mutable_raw_input_contents()->DeleteSubrange(0, 1);
  Outcome out;
  const auto region = std::make_shared<std::vector<std::byte>>(64, std::byte{9});
  out.memory.regions["region"] = region;
  decode(message, out);
  ASSERT_TRUE(out.status.ok()) << out.status.error().message();
  EXPECT_EQ(out.decoded.request.inputs[0].tensor.data.data(), region->data());
  EXPECT_EQ(values<std::int32_t>(out.decoded.request.inputs[1])[0], '1');
  EXPECT_EQ(region.use_count(), 3) << "the request keeps the region";

  EXPECT_THAT(error_of(message.SerializeAsString()).message(), HasSubstr("'region'"));
  message.mutable_inputs(0)->mutable_parameters()->erase("shared_memory_byte_size");
  EXPECT_THAT(error_of(message.SerializeAsString()).message(), HasSubstr("INPUT0"));
}

TEST(InferDecoder, TextsInSharedMemoryAreCopiedBeforeTheyAreChecked) {
  ModelInferRequest message = add_sub();
  message.mutable_inputs(0)->set_datatype("BYTES");
  place_in(*message.mutable_inputs(0), "region", 8);
  message.mutable_raw_input_contents()->DeleteSubrange(0, 1);
  Outcome out;
  const auto region = std::make_shared<std::vector<std::byte>>(8, std::byte{4});
  out.memory.regions["region"] = region;
  decode(message, out);
  ASSERT_TRUE(out.status.ok());
  (*region)[0] = std::byte{200};
  EXPECT_EQ(out.decoded.request.inputs[0].tensor.data[0], std::byte{4});
}

TEST(InferDecoder, SurvivesRandomDamage) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string whole = add_sub().SerializeAsString();
  for (int round = 0; round < 5000; ++round) {
    std::string message = whole;
    for (int hits = 1 + static_cast<int>(random() % 4); hits > 0; --hits) {
      message[random() % message.size()] = static_cast<char>(random());
    }
    Outcome out;
    decode(message, out, 1 + random() % 64);
    if (!out.status.ok()) {
      EXPECT_NE(out.status.error().code(), ErrorCode::kInternal);
    }
  }
}

}  // namespace
}  // namespace tessera::server
