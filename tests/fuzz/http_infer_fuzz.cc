// The body of an HTTP inference request, arriving in pieces of any size. The input is a line that says how ("K N P F":
// Inference-Header-Content-Length or -1, whether the length is known, bytes a piece, the model's datatype), then the
// body.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "server/http/body/infer_decoder.h"
#include "server/http/body/infer_encoder.h"

namespace {

using namespace tessera;
using namespace tessera::server;
using namespace tessera::server::http;

constexpr std::size_t kMaxBody = 1 << 16;

class Body final : public runtime::BodyMemory {
 public:
  explicit Body(std::size_t size) : memory_(std::make_unique<std::byte[]>(size)), size_(size) {}
  std::span<std::byte> bytes() override { return {memory_.get(), size_}; }
  Status charge(Bytes arrived) override {
    TESSERA_CHECK(arrived.value <= size_);
    return ok_status();
  }

 private:
  std::unique_ptr<std::byte[]> memory_;
  const std::size_t size_;
};

struct Setting {
  BodyShape shape;
  std::size_t piece = 1;
  bool into_place = false;
  DType dtype = DType::kInt32;
};

Setting read_setting(std::string_view line, std::size_t body_size) {
  const std::string text(line);
  char* at = const_cast<char*>(text.c_str());
  const long json_length = std::strtol(at, &at, 10);
  const bool length_known = std::strtol(at, &at, 10) != 0;
  const long piece = std::strtol(at, &at, 10);
  const long dtype = std::strtol(at, &at, 10);
  Setting setting;
  setting.shape.max_bytes = kMaxBody;
  if (json_length >= 0) {
    setting.shape.json_length = static_cast<std::uint64_t>(json_length);
  }
  if (length_known) {
    setting.shape.body_length = body_size;
  }
  setting.into_place = piece < 0;
  setting.piece = std::max<std::size_t>(1, static_cast<std::size_t>(std::labs(piece % 65536)));
  setting.dtype = static_cast<DType>(std::labs(dtype % 14));
  return setting;
}

Status feed(InferDecoder& decoder, std::string_view body, const Setting& setting) {
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, setting.piece);
    iovec place{};
    std::size_t places = 0;
    if (setting.into_place) {
      TESSERA_ASSIGN_OR_RETURN(places, decoder.gather({&place, 1}));
    }
    if (places == 1) {
      const std::size_t part = std::min(piece.size(), place.iov_len);
      std::memcpy(place.iov_base, piece.data(), part);
      TESSERA_RETURN_IF_ERROR(decoder.arrived(part));
      body.remove_prefix(part);
    } else {
      TESSERA_RETURN_IF_ERROR(decoder.feed(std::as_bytes(std::span(piece.data(), piece.size()))));
      body.remove_prefix(piece.size());
    }
  }
  return ok_status();
}

// Sends the inputs back as outputs, where they are tensors that a model could have given.
void answer(const InferRequest& request, const AnswerForm& form) {
  InferResponse response;
  std::vector<FinishedOutput> outputs;
  for (const InputTensor& input : request.inputs) {
    const auto elements = input.tensor.shape.elements();
    TESSERA_CHECK(elements.has_value());
    if (input.tensor.dtype == DType::kBytes ? check_bytes_tensor(input.tensor.data, *elements).ok()
                                            : input.tensor.data.size() % size_of(input.tensor.dtype) == 0) {
      outputs.push_back({input.name, input.tensor, {}, {}});
    }
  }
  std::string json;
  std::vector<std::span<const std::byte>> tensors;
  static_cast<void>(encode_answer(response, request.id, outputs, form, json, tensors));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string_view body = input.substr(std::min(line + 1, input.size()));
  if (body.size() > kMaxBody) {
    return 0;  // the connection refuses those by their length
  }
  const Setting setting = read_setting(input.substr(0, line), body.size());
  const SharedMemory no_regions;
  InferSource source;
  source.lease = [](Bytes bytes) -> Result<std::shared_ptr<runtime::BodyMemory>> {
    return std::shared_ptr<runtime::BodyMemory>(std::make_shared<Body>(bytes.value));
  };
  source.signature = [&]() -> Result<ModelSignature> {
    return ModelSignature{{{"A", setting.dtype, setting.dtype == DType::kBytes ? Shape{1} : Shape{-1, 3}}}, {}, 8};
  };
  source.shared_memory = &no_regions;
  InferDecoder decoder(source, setting.shape);
  InferRequest request;
  AnswerForm form;
  if (feed(decoder, body, setting).ok() && decoder.finish(request, form).ok()) {
    answer(request, form);
  }
  return 0;
}
