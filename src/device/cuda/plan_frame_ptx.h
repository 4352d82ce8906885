// Made by scripts/kernels-ptx from plan_frame.cu: do not edit.
#pragma once

namespace tessera::device {

inline constexpr const char* kPlanFramePtx = R"ptx(

.version 9.0
.target sm_75
.address_size 64

	// .globl	plan_gather
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj
(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_1,
	.param .b32 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_2,
	.param .b32 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_3
)
;
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy
(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1
)
;

.visible .entry plan_gather(
	.param .u64 plan_gather_param_0,
	.param .u64 plan_gather_param_1
)
.maxntid 512, 1, 1
{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<7>;
	.reg .b64 	%rd<7>;
	// demoted variable
	.shared .align 8 .b8 _ZZ11plan_gatherE4work[6672];

	ld.param.u64 	%rd1, [plan_gather_param_0];
	mov.u32 	%r1, %tid.x;
	setp.gt.u32 	%p1, %r1, 63;
	@%p1 bra 	$L__BB0_2;

	cvta.to.global.u64 	%rd2, %rd1;
	mul.wide.u32 	%rd3, %r1, 8;
	add.s64 	%rd4, %rd2, %rd3;
	ld.volatile.global.u64 	%rd5, [%rd4];
	shl.b32 	%r2, %r1, 3;
	mov.u32 	%r3, _ZZ11plan_gatherE4work;
	add.s32 	%r4, %r3, %r2;
	st.shared.u64 	[%r4], %rd5;

$L__BB0_2:
	bar.sync 	0;
	ld.shared.u32 	%r5, [_ZZ11plan_gatherE4work+12];
	mov.u32 	%r6, _ZZ11plan_gatherE4work;
	{ .reg .b64 %tmp;
	  cvt.u64.u32 	%tmp, %r6;
	  cvta.shared.u64 	%rd6, %tmp; }
	{ // callseq 0, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd6;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd1;
	.param .b32 param2;
	st.param.b32 	[param2+0], 0;
	.param .b32 param3;
	st.param.b32 	[param3+0], %r5;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj, 
	(
	param0, 
	param1, 
	param2, 
	param3
	);
	} // callseq 0
	ret;

}
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_1,
	.param .b32 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_2,
	.param .b32 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_3
)
{
	.reg .pred 	%p<55>;
	.reg .b16 	%rs<73>;
	.reg .f32 	%f<17>;
	.reg .b32 	%r<349>;
	.reg .b64 	%rd<141>;

	ld.param.u64 	%rd41, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_0];
	ld.param.u64 	%rd42, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_1];
	ld.param.u32 	%r159, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_3];
	{ .reg .b64 %tmp;
	  cvta.to.shared.u64 	%tmp, %rd41;
	  cvt.u32.u64 	%r1, %tmp; }
	setp.eq.s32 	%p1, %r159, 0;
	@%p1 bra 	$L__BB1_84;

	mov.u32 	%r2, %tid.x;
	cvt.u64.u32 	%rd43, %r2;
	mov.u32 	%r161, %nctaid.x;
	mul.wide.u32 	%rd1, %r161, 512;
	mov.u32 	%r162, %ctaid.x;
	mul.wide.u32 	%rd44, %r162, 512;
	add.s64 	%rd2, %rd44, %rd43;
	add.s32 	%r8, %r1, 512;
	mad.lo.s32 	%r4, %r2, 48, %r8;
	and.b32  	%r6, %r2, 3;
	sub.s32 	%r7, %r2, %r6;
	mov.u32 	%r272, 0;

$L__BB1_2:
	sub.s32 	%r163, %r159, %r272;
	min.u32 	%r10, %r163, 128;
	setp.ge.u32 	%p2, %r2, %r10;
	@%p2 bra 	$L__BB1_21;

	ld.param.u32 	%r260, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj_param_2];
	add.s32 	%r259, %r2, %r260;
	add.s32 	%r164, %r259, %r272;
	mul.lo.s32 	%r11, %r164, 3;
	add.s32 	%r165, %r11, 4;
	setp.lt.u32 	%p3, %r165, 64;
	shl.b32 	%r166, %r11, 3;
	add.s32 	%r12, %r1, %r166;
	@%p3 bra 	$L__BB1_5;
	bra.uni 	$L__BB1_4;

$L__BB1_5:
	ld.shared.u64 	%rd124, [%r12+32];
	bra.uni 	$L__BB1_6;

$L__BB1_4:
	mul.wide.u32 	%rd45, %r165, 8;
	add.s64 	%rd46, %rd42, %rd45;
	ld.volatile.u64 	%rd124, [%rd46];

$L__BB1_6:
	add.s32 	%r13, %r11, 5;
	setp.lt.u32 	%p4, %r13, 64;
	@%p4 bra 	$L__BB1_8;
	bra.uni 	$L__BB1_7;

$L__BB1_8:
	ld.shared.u64 	%rd125, [%r12+40];
	bra.uni 	$L__BB1_9;

$L__BB1_7:
	mul.wide.u32 	%rd47, %r13, 8;
	add.s64 	%rd48, %rd42, %rd47;
	ld.volatile.u64 	%rd125, [%rd48];

$L__BB1_9:
	add.s32 	%r14, %r11, 6;
	setp.lt.u32 	%p5, %r14, 64;
	@%p5 bra 	$L__BB1_11;
	bra.uni 	$L__BB1_10;

$L__BB1_11:
	ld.shared.u64 	%rd126, [%r12+48];
	bra.uni 	$L__BB1_12;

$L__BB1_10:
	mul.wide.u32 	%rd49, %r14, 8;
	add.s64 	%rd50, %rd42, %rd49;
	ld.volatile.u64 	%rd126, [%rd50];

$L__BB1_12:
	shr.u64 	%rd51, %rd126, 32;
	cvt.u32.u64 	%r15, %rd51;
	setp.eq.s32 	%p6, %r15, 1;
	@%p6 bra 	$L__BB1_19;
	bra.uni 	$L__BB1_13;

$L__BB1_19:
	or.b64  	%rd59, %rd125, %rd124;
	and.b64  	%rd60, %rd59, 15;
	setp.eq.s64 	%p13, %rd60, 0;
	selp.b32 	%r273, 16, 2, %p13;
	bra.uni 	$L__BB1_20;

$L__BB1_13:
	setp.eq.s32 	%p7, %r15, 2;
	@%p7 bra 	$L__BB1_18;
	bra.uni 	$L__BB1_14;

$L__BB1_18:
	and.b64  	%rd56, %rd124, 7;
	and.b64  	%rd57, %rd125, 15;
	or.b64  	%rd58, %rd57, %rd56;
	setp.eq.s64 	%p12, %rd58, 0;
	selp.b32 	%r273, 16, 2, %p12;
	bra.uni 	$L__BB1_20;

$L__BB1_14:
	or.b64  	%rd12, %rd125, %rd124;
	and.b64  	%rd52, %rd12, 15;
	setp.eq.s64 	%p8, %rd52, 0;
	mov.u32 	%r273, 16;
	@%p8 bra 	$L__BB1_20;

	or.b64  	%rd120, %rd125, %rd124;
	and.b64  	%rd53, %rd120, 7;
	setp.eq.s64 	%p9, %rd53, 0;
	mov.u32 	%r273, 8;
	@%p9 bra 	$L__BB1_20;

	or.b64  	%rd121, %rd125, %rd124;
	and.b64  	%rd54, %rd121, 3;
	setp.eq.s64 	%p10, %rd54, 0;
	mov.u32 	%r273, 4;
	@%p10 bra 	$L__BB1_20;

	or.b64  	%rd122, %rd125, %rd124;
	and.b64  	%rd55, %rd122, 1;
	setp.eq.b64 	%p11, %rd55, 1;
	selp.b32 	%r273, 1, 2, %p11;

$L__BB1_20:
	shr.u64 	%rd123, %rd126, 32;
	cvt.u32.u64 	%r267, %rd123;
	and.b64  	%rd61, %rd126, 4294967295;
	cvt.u64.u32 	%rd62, %r273;
	add.s64 	%rd63, %rd61, %rd62;
	add.s64 	%rd64, %rd63, -1;
	brev.b32 	%r171, %r273;
	bfind.shiftamt.u32 	%r172, %r171;
	shr.u64 	%rd65, %rd64, %r172;
	st.shared.u64 	[%r4], %rd124;
	st.shared.u64 	[%r4+8], %rd125;
	mov.u64 	%rd66, 0;
	cvt.u32.u64 	%r173, %rd126;
	st.shared.v2.u32 	[%r4+16], {%r173, %r273};
	st.shared.u32 	[%r4+24], %r267;
	st.shared.u64 	[%r4+32], %rd65;
	st.shared.u64 	[%r4+40], %rd66;

$L__BB1_21:
	bar.sync 	0;
	@%p2 bra 	$L__BB1_32;

	setp.eq.s32 	%p15, %r2, 0;
	mov.u64 	%rd130, 0;
	@%p15 bra 	$L__BB1_30;

	add.s32 	%r258, %r2, -1;
	setp.lt.u32 	%p16, %r258, 3;
	mov.u64 	%rd130, 0;
	mov.u32 	%r276, 0;
	@%p16 bra 	$L__BB1_26;

	mov.u64 	%rd130, 0;
	mov.u32 	%r276, 0;
	mov.u32 	%r275, %r7;

$L__BB1_25:
	mad.lo.s32 	%r176, %r276, 48, %r1;
	ld.shared.u64 	%rd71, [%r176+544];
	add.s64 	%rd72, %rd71, %rd130;
	ld.shared.u64 	%rd73, [%r176+592];
	add.s64 	%rd74, %rd73, %rd72;
	ld.shared.u64 	%rd75, [%r176+640];
	add.s64 	%rd76, %rd75, %rd74;
	ld.shared.u64 	%rd77, [%r176+688];
	add.s64 	%rd130, %rd77, %rd76;
	add.s32 	%r276, %r276, 4;
	add.s32 	%r275, %r275, -4;
	setp.ne.s32 	%p17, %r275, 0;
	@%p17 bra 	$L__BB1_25;

$L__BB1_26:
	setp.eq.s32 	%p18, %r6, 0;
	@%p18 bra 	$L__BB1_30;

	setp.eq.s32 	%p19, %r6, 1;
	mad.lo.s32 	%r177, %r276, 48, %r1;
	ld.shared.u64 	%rd78, [%r177+544];
	add.s64 	%rd130, %rd78, %rd130;
	@%p19 bra 	$L__BB1_30;

	setp.eq.s32 	%p20, %r6, 2;
	add.s32 	%r244, %r177, 544;
	ld.shared.u64 	%rd79, [%r244+48];
	add.s64 	%rd130, %rd79, %rd130;
	@%p20 bra 	$L__BB1_30;

	add.s32 	%r245, %r177, 544;
	ld.shared.u64 	%rd80, [%r245+96];
	add.s64 	%rd130, %rd80, %rd130;

$L__BB1_30:
	sub.s32 	%r269, %r159, %r272;
	min.u32 	%r268, %r269, 128;
	st.shared.u64 	[%r4+40], %rd130;
	add.s32 	%r178, %r268, -1;
	setp.ne.s32 	%p21, %r2, %r178;
	@%p21 bra 	$L__BB1_32;

	sub.s32 	%r271, %r159, %r272;
	min.u32 	%r270, %r271, 128;
	st.shared.u32 	[%r1+6656], %r270;
	ld.shared.u64 	%rd81, [%r4+32];
	add.s64 	%rd82, %rd81, %rd130;
	st.shared.u64 	[%r1+6664], %rd82;

$L__BB1_32:
	bar.sync 	0;
	ld.shared.u64 	%rd131, [%r1+6664];
	setp.ge.u64 	%p22, %rd2, %rd131;
	@%p22 bra 	$L__BB1_83;

	mov.u32 	%r313, 0;
	mov.u64 	%rd137, %rd2;

$L__BB1_34:
	mov.u32 	%r312, 0;
	setp.ge.u64 	%p23, %rd137, %rd131;
	mov.u64 	%rd138, 0;
	mov.u64 	%rd135, %rd138;
	@%p23 bra 	$L__BB1_48;

	add.s32 	%r262, %r1, 512;
	ld.shared.u32 	%r44, [%r1+6656];
	mad.lo.s32 	%r294, %r313, 48, %r262;
	mov.u32 	%r295, %r313;

$L__BB1_36:
	mov.u32 	%r313, %r295;
	mov.u32 	%r312, %r294;
	add.s32 	%r295, %r313, 1;
	setp.ge.u32 	%p24, %r295, %r44;
	@%p24 bra 	$L__BB1_38;

	ld.shared.u64 	%rd85, [%r312+88];
	setp.ge.u64 	%p25, %rd137, %rd85;
	add.s32 	%r294, %r312, 48;
	@%p25 bra 	$L__BB1_36;

$L__BB1_38:
	ld.shared.u64 	%rd86, [%r312+40];
	sub.s64 	%rd87, %rd137, %rd86;
	ld.shared.u32 	%rd88, [%r312+20];
	mul.lo.s64 	%rd136, %rd87, %rd88;
	setp.ne.s64 	%p26, %rd88, 16;
	mov.u16 	%rs69, 0;
	@%p26 bra 	$L__BB1_40;

	ld.shared.u32 	%rd89, [%r312+16];
	sub.s64 	%rd90, %rd89, %rd136;
	setp.gt.u64 	%p27, %rd90, 15;
	selp.u16 	%rs69, 1, 0, %p27;

$L__BB1_40:
	setp.eq.s16 	%p28, %rs69, 0;
	mov.u32 	%r296, %r282;
	mov.u32 	%r297, %r283;
	mov.u32 	%r298, %r284;
	mov.u32 	%r299, %r285;
	@%p28 bra 	$L__BB1_47;

	ld.shared.u64 	%rd27, [%r312];
	mov.u32 	%r296, 0;
	setp.eq.s64 	%p29, %rd27, 0;
	mov.u32 	%r297, %r296;
	mov.u32 	%r298, %r296;
	mov.u32 	%r299, %r296;
	mov.u32 	%r300, %r296;
	mov.u32 	%r301, %r296;
	mov.u32 	%r302, %r296;
	mov.u32 	%r303, %r296;
	@%p29 bra 	$L__BB1_47;

	ld.shared.u32 	%r50, [%r312+24];
	setp.eq.s32 	%p30, %r50, 1;
	@%p30 bra 	$L__BB1_46;
	bra.uni 	$L__BB1_43;

$L__BB1_46:
	shl.b64 	%rd94, %rd136, 1;
	add.s64 	%rd95, %rd27, %rd94;
	ld.v4.u32 	{%r303, %r302, %r301, %r300}, [%rd95];
	ld.v4.u32 	{%r299, %r298, %r297, %r296}, [%rd95+16];
	bra.uni 	$L__BB1_47;

$L__BB1_43:
	setp.eq.s32 	%p31, %r50, 2;
	@%p31 bra 	$L__BB1_45;
	bra.uni 	$L__BB1_44;

$L__BB1_45:
	mov.u32 	%r300, 0;
	shr.u64 	%rd92, %rd136, 1;
	add.s64 	%rd93, %rd27, %rd92;
	ld.v2.u32 	{%r303, %r302}, [%rd93];
	mov.u32 	%r296, %r282;
	mov.u32 	%r297, %r283;
	mov.u32 	%r298, %r284;
	mov.u32 	%r299, %r285;
	mov.u32 	%r301, %r300;
	bra.uni 	$L__BB1_47;

$L__BB1_44:
	add.s64 	%rd91, %rd27, %rd136;
	ld.v4.u32 	{%r303, %r302, %r301, %r300}, [%rd91];
	mov.u32 	%r296, %r282;
	mov.u32 	%r297, %r283;
	mov.u32 	%r298, %r284;
	mov.u32 	%r299, %r285;

$L__BB1_47:
	add.s64 	%rd137, %rd137, %rd1;
	mul.wide.u32 	%rd96, %r313, 48;
	add.s64 	%rd97, %rd41, %rd96;
	add.s64 	%rd135, %rd97, 512;
	mov.u32 	%r285, %r299;
	mov.u32 	%r284, %r298;
	mov.u32 	%r283, %r297;
	mov.u32 	%r282, %r296;

$L__BB1_48:
	setp.ge.u64 	%p32, %rd137, %rd131;
	mov.u32 	%r328, 0;
	@%p32 bra 	$L__BB1_62;

	ld.shared.u32 	%r84, [%r1+6656];
	mov.u32 	%r314, %r313;

$L__BB1_50:
	mov.u32 	%r313, %r314;
	add.s32 	%r314, %r313, 1;
	setp.ge.u32 	%p33, %r314, %r84;
	mad.lo.s32 	%r209, %r313, 48, %r1;
	@%p33 bra 	$L__BB1_52;

	add.s32 	%r246, %r209, 512;
	ld.shared.u64 	%rd99, [%r246+88];
	setp.ge.u64 	%p34, %rd137, %rd99;
	@%p34 bra 	$L__BB1_50;

$L__BB1_52:
	add.s32 	%r247, %r209, 512;
	ld.shared.u64 	%rd100, [%r247+40];
	sub.s64 	%rd101, %rd137, %rd100;
	add.s32 	%r248, %r209, 512;
	ld.shared.u32 	%rd102, [%r248+20];
	mul.lo.s64 	%rd139, %rd101, %rd102;
	setp.ne.s64 	%p35, %rd102, 16;
	mov.u16 	%rs70, 0;
	@%p35 bra 	$L__BB1_54;

	add.s32 	%r249, %r209, 512;
	ld.shared.u32 	%rd103, [%r249+16];
	sub.s64 	%rd104, %rd103, %rd139;
	setp.gt.u64 	%p36, %rd104, 15;
	selp.u16 	%rs70, 1, 0, %p36;

$L__BB1_54:
	setp.eq.s16 	%p37, %rs70, 0;
	mov.u32 	%r315, %r277;
	mov.u32 	%r320, %r290;
	mov.u32 	%r321, %r291;
	mov.u32 	%r322, %r292;
	@%p37 bra 	$L__BB1_61;

	add.s32 	%r250, %r209, 512;
	ld.shared.u64 	%rd34, [%r250];
	mov.u32 	%r315, 0;
	setp.eq.s64 	%p38, %rd34, 0;
	mov.u32 	%r316, %r315;
	mov.u32 	%r317, %r315;
	mov.u32 	%r318, %r315;
	mov.u32 	%r319, %r315;
	mov.u32 	%r320, %r315;
	mov.u32 	%r321, %r315;
	mov.u32 	%r322, %r315;
	@%p38 bra 	$L__BB1_61;

	add.s32 	%r251, %r209, 512;
	ld.shared.u32 	%r88, [%r251+24];
	setp.eq.s32 	%p39, %r88, 1;
	@%p39 bra 	$L__BB1_60;
	bra.uni 	$L__BB1_57;

$L__BB1_60:
	shl.b64 	%rd108, %rd139, 1;
	add.s64 	%rd109, %rd34, %rd108;
	ld.v4.u32 	{%r319, %r318, %r317, %r316}, [%rd109];
	ld.v4.u32 	{%r315, %r320, %r321, %r322}, [%rd109+16];
	bra.uni 	$L__BB1_61;

$L__BB1_57:
	setp.eq.s32 	%p40, %r88, 2;
	@%p40 bra 	$L__BB1_59;
	bra.uni 	$L__BB1_58;

$L__BB1_59:
	mov.u32 	%r316, 0;
	shr.u64 	%rd106, %rd139, 1;
	add.s64 	%rd107, %rd34, %rd106;
	ld.v2.u32 	{%r319, %r318}, [%rd107];
	mov.u32 	%r315, %r277;
	mov.u32 	%r317, %r316;
	mov.u32 	%r320, %r290;
	mov.u32 	%r321, %r291;
	mov.u32 	%r322, %r292;
	bra.uni 	$L__BB1_61;

$L__BB1_58:
	add.s64 	%rd105, %rd34, %rd139;
	ld.v4.u32 	{%r319, %r318, %r317, %r316}, [%rd105];
	mov.u32 	%r315, %r277;
	mov.u32 	%r320, %r290;
	mov.u32 	%r321, %r291;
	mov.u32 	%r322, %r292;

$L__BB1_61:
	mad.lo.s32 	%r265, %r313, 48, %r1;
	add.s32 	%r328, %r265, 512;
	add.s64 	%rd137, %rd137, %rd1;
	mul.wide.u32 	%rd110, %r313, 48;
	add.s64 	%rd111, %rd41, %rd110;
	add.s64 	%rd138, %rd111, 512;
	mov.u32 	%r292, %r322;
	mov.u32 	%r291, %r321;
	mov.u32 	%r290, %r320;
	mov.u32 	%r277, %r315;

$L__BB1_62:
	setp.eq.s64 	%p41, %rd135, 0;
	@%p41 bra 	$L__BB1_82;

	ld.shared.u32 	%r234, [%r312+20];
	setp.ne.s32 	%p42, %r234, 16;
	mov.u16 	%rs71, 0;
	@%p42 bra 	$L__BB1_65;

	add.s32 	%r252, %r312, 20;
	ld.shared.u32 	%rd112, [%r252+-4];
	sub.s64 	%rd113, %rd112, %rd136;
	setp.gt.u64 	%p43, %rd113, 15;
	selp.u16 	%rs71, 1, 0, %p43;

$L__BB1_65:
	setp.eq.s16 	%p44, %rs71, 0;
	@%p44 bra 	$L__BB1_71;

	add.s32 	%r253, %r312, 20;
	ld.shared.u32 	%r122, [%r253+4];
	setp.eq.s32 	%p45, %r122, 1;
	@%p45 bra 	$L__BB1_69;
	bra.uni 	$L__BB1_67;

$L__BB1_69:
	mov.b32 	%f1, %r303;
	// begin inline asm
	cvt.rn.f16.f32 %rs32, %f1;
	// end inline asm
	mov.b32 	%f2, %r302;
	// begin inline asm
	cvt.rn.f16.f32 %rs33, %f2;
	// end inline asm
	mov.b32 	%f3, %r301;
	// begin inline asm
	cvt.rn.f16.f32 %rs34, %f3;
	// end inline asm
	mov.b32 	%f4, %r300;
	// begin inline asm
	cvt.rn.f16.f32 %rs35, %f4;
	// end inline asm
	mov.b32 	%f5, %r285;
	// begin inline asm
	cvt.rn.f16.f32 %rs36, %f5;
	// end inline asm
	mov.b32 	%f6, %r284;
	// begin inline asm
	cvt.rn.f16.f32 %rs37, %f6;
	// end inline asm
	mov.b32 	%f7, %r283;
	// begin inline asm
	cvt.rn.f16.f32 %rs38, %f7;
	// end inline asm
	mov.b32 	%f8, %r282;
	// begin inline asm
	cvt.rn.f16.f32 %rs39, %f8;
	// end inline asm
	mov.b32 	%r336, {%rs38, %rs39};
	mov.b32 	%r335, {%rs36, %rs37};
	mov.b32 	%r334, {%rs34, %rs35};
	mov.b32 	%r333, {%rs32, %rs33};
	bra.uni 	$L__BB1_70;

$L__BB1_71:
	{ // callseq 1, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd135;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd136;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy, 
	(
	param0, 
	param1
	);
	} // callseq 1
	bra.uni 	$L__BB1_72;

$L__BB1_67:
	setp.ne.s32 	%p46, %r122, 2;
	mov.u32 	%r333, %r303;
	mov.u32 	%r334, %r302;
	mov.u32 	%r335, %r301;
	mov.u32 	%r336, %r300;
	@%p46 bra 	$L__BB1_70;

	cvt.u16.u32 	%rs28, %r303;
	and.b16  	%rs13, %rs28, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs12, %rs13;
	// end inline asm
	shr.u16 	%rs15, %rs28, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs14, %rs15;
	// end inline asm
	shr.u32 	%r235, %r303, 16;
	cvt.u16.u32 	%rs29, %r235;
	and.b16  	%rs17, %rs29, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs16, %rs17;
	// end inline asm
	shr.u32 	%r236, %r303, 24;
	cvt.u16.u32 	%rs19, %r236;
	// begin inline asm
	cvt.rn.f16.u16 %rs18, %rs19;
	// end inline asm
	cvt.u16.u32 	%rs30, %r302;
	and.b16  	%rs21, %rs30, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs20, %rs21;
	// end inline asm
	shr.u16 	%rs23, %rs30, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs22, %rs23;
	// end inline asm
	shr.u32 	%r237, %r302, 16;
	cvt.u16.u32 	%rs31, %r237;
	and.b16  	%rs25, %rs31, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs24, %rs25;
	// end inline asm
	shr.u32 	%r238, %r302, 24;
	cvt.u16.u32 	%rs27, %r238;
	// begin inline asm
	cvt.rn.f16.u16 %rs26, %rs27;
	// end inline asm
	mov.b32 	%r335, {%rs20, %rs22};
	mov.b32 	%r333, {%rs12, %rs14};
	mov.b32 	%r336, {%rs24, %rs26};
	mov.b32 	%r334, {%rs16, %rs18};

$L__BB1_70:
	add.s32 	%r254, %r312, 20;
	ld.shared.u64 	%rd114, [%r254+-12];
	add.s64 	%rd115, %rd114, %rd136;
	st.v4.u32 	[%rd115], {%r333, %r334, %r335, %r336};

$L__BB1_72:
	setp.eq.s64 	%p47, %rd138, 0;
	@%p47 bra 	$L__BB1_82;

	ld.shared.u32 	%r239, [%r328+20];
	setp.ne.s32 	%p48, %r239, 16;
	mov.u16 	%rs72, 0;
	@%p48 bra 	$L__BB1_75;

	add.s32 	%r255, %r328, 20;
	ld.shared.u32 	%rd116, [%r255+-4];
	sub.s64 	%rd117, %rd116, %rd139;
	setp.gt.u64 	%p49, %rd117, 15;
	selp.u16 	%rs72, 1, 0, %p49;

$L__BB1_75:
	setp.eq.s16 	%p50, %rs72, 0;
	@%p50 bra 	$L__BB1_81;

	add.s32 	%r256, %r328, 20;
	ld.shared.u32 	%r140, [%r256+4];
	setp.eq.s32 	%p51, %r140, 1;
	@%p51 bra 	$L__BB1_79;
	bra.uni 	$L__BB1_77;

$L__BB1_79:
	mov.b32 	%f9, %r319;
	// begin inline asm
	cvt.rn.f16.f32 %rs61, %f9;
	// end inline asm
	mov.b32 	%f10, %r318;
	// begin inline asm
	cvt.rn.f16.f32 %rs62, %f10;
	// end inline asm
	mov.b32 	%f11, %r317;
	// begin inline asm
	cvt.rn.f16.f32 %rs63, %f11;
	// end inline asm
	mov.b32 	%f12, %r316;
	// begin inline asm
	cvt.rn.f16.f32 %rs64, %f12;
	// end inline asm
	mov.b32 	%f13, %r277;
	// begin inline asm
	cvt.rn.f16.f32 %rs65, %f13;
	// end inline asm
	mov.b32 	%f14, %r290;
	// begin inline asm
	cvt.rn.f16.f32 %rs66, %f14;
	// end inline asm
	mov.b32 	%f15, %r291;
	// begin inline asm
	cvt.rn.f16.f32 %rs67, %f15;
	// end inline asm
	mov.b32 	%f16, %r292;
	// begin inline asm
	cvt.rn.f16.f32 %rs68, %f16;
	// end inline asm
	mov.b32 	%r340, {%rs67, %rs68};
	mov.b32 	%r339, {%rs65, %rs66};
	mov.b32 	%r338, {%rs63, %rs64};
	mov.b32 	%r337, {%rs61, %rs62};
	bra.uni 	$L__BB1_80;

$L__BB1_81:
	{ // callseq 2, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd138;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd139;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy, 
	(
	param0, 
	param1
	);
	} // callseq 2
	bra.uni 	$L__BB1_82;

$L__BB1_77:
	setp.ne.s32 	%p52, %r140, 2;
	mov.u32 	%r337, %r319;
	mov.u32 	%r338, %r318;
	mov.u32 	%r339, %r317;
	mov.u32 	%r340, %r316;
	@%p52 bra 	$L__BB1_80;

	cvt.u16.u32 	%rs57, %r319;
	and.b16  	%rs42, %rs57, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs41, %rs42;
	// end inline asm
	shr.u16 	%rs44, %rs57, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs43, %rs44;
	// end inline asm
	shr.u32 	%r240, %r319, 16;
	cvt.u16.u32 	%rs58, %r240;
	and.b16  	%rs46, %rs58, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs45, %rs46;
	// end inline asm
	shr.u32 	%r241, %r319, 24;
	cvt.u16.u32 	%rs48, %r241;
	// begin inline asm
	cvt.rn.f16.u16 %rs47, %rs48;
	// end inline asm
	cvt.u16.u32 	%rs59, %r318;
	and.b16  	%rs50, %rs59, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs49, %rs50;
	// end inline asm
	shr.u16 	%rs52, %rs59, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs51, %rs52;
	// end inline asm
	shr.u32 	%r242, %r318, 16;
	cvt.u16.u32 	%rs60, %r242;
	and.b16  	%rs54, %rs60, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs53, %rs54;
	// end inline asm
	shr.u32 	%r243, %r318, 24;
	cvt.u16.u32 	%rs56, %r243;
	// begin inline asm
	cvt.rn.f16.u16 %rs55, %rs56;
	// end inline asm
	mov.b32 	%r339, {%rs49, %rs51};
	mov.b32 	%r337, {%rs41, %rs43};
	mov.b32 	%r340, {%rs53, %rs55};
	mov.b32 	%r338, {%rs45, %rs47};

$L__BB1_80:
	add.s32 	%r257, %r328, 20;
	ld.shared.u64 	%rd118, [%r257+-12];
	add.s64 	%rd119, %rd118, %rd139;
	st.v4.u32 	[%rd119], {%r337, %r338, %r339, %r340};

$L__BB1_82:
	ld.shared.u64 	%rd131, [%r1+6664];
	setp.lt.u64 	%p53, %rd137, %rd131;
	@%p53 bra 	$L__BB1_34;

$L__BB1_83:
	bar.sync 	0;
	add.s32 	%r272, %r272, 128;
	setp.lt.u32 	%p54, %r272, %r159;
	@%p54 bra 	$L__BB1_2;

$L__BB1_84:
	ret;

}
	// .globl	plan_scatter
.visible .entry plan_scatter(
	.param .u64 plan_scatter_param_0,
	.param .u64 plan_scatter_param_1
)
.maxntid 512, 1, 1
{
	.reg .pred 	%p<5>;
	.reg .b32 	%r<13>;
	.reg .b64 	%rd<11>;
	// demoted variable
	.shared .align 8 .b8 _ZZ12plan_scatterE4work[6672];

	ld.param.u64 	%rd2, [plan_scatter_param_0];
	ld.param.u64 	%rd3, [plan_scatter_param_1];
	mov.u32 	%r1, %tid.x;
	setp.gt.u32 	%p1, %r1, 63;
	@%p1 bra 	$L__BB2_2;

	cvta.to.global.u64 	%rd4, %rd2;
	mul.wide.u32 	%rd5, %r1, 8;
	add.s64 	%rd6, %rd4, %rd5;
	ld.volatile.global.u64 	%rd7, [%rd6];
	shl.b32 	%r2, %r1, 3;
	mov.u32 	%r3, _ZZ12plan_scatterE4work;
	add.s32 	%r4, %r3, %r2;
	st.shared.u64 	[%r4], %rd7;

$L__BB2_2:
	bar.sync 	0;
	ld.shared.u32 	%r5, [_ZZ12plan_scatterE4work+12];
	mov.u32 	%r6, _ZZ12plan_scatterE4work;
	ld.shared.u32 	%r7, [_ZZ12plan_scatterE4work+16];
	{ .reg .b64 %tmp;
	  cvt.u64.u32 	%tmp, %r6;
	  cvta.shared.u64 	%rd8, %tmp; }
	{ // callseq 3, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd8;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd2;
	.param .b32 param2;
	st.param.b32 	[param2+0], %r5;
	.param .b32 param3;
	st.param.b32 	[param3+0], %r7;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkEyjj, 
	(
	param0, 
	param1, 
	param2, 
	param3
	);
	} // callseq 3
	bar.sync 	0;
	setp.ne.s32 	%p2, %r1, 0;
	@%p2 bra 	$L__BB2_6;

	membar.sys;
	cvta.to.global.u64 	%rd1, %rd3;
	atom.global.add.u32 	%r8, [%rd1], 1;
	mov.u32 	%r9, %nctaid.x;
	add.s32 	%r10, %r9, -1;
	setp.ne.s32 	%p3, %r8, %r10;
	@%p3 bra 	$L__BB2_6;

	mov.u32 	%r11, 0;
	st.global.u32 	[%rd1], %r11;
	ld.shared.u64 	%rd9, [_ZZ12plan_scatterE4work];
	setp.eq.s64 	%p4, %rd9, 0;
	@%p4 bra 	$L__BB2_6;

	membar.sys;
	ld.shared.u32 	%r12, [_ZZ12plan_scatterE4work+8];
	ld.shared.u64 	%rd10, [_ZZ12plan_scatterE4work];
	st.volatile.u32 	[%rd10], %r12;

$L__BB2_6:
	ret;

}
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1
)
{
	.reg .pred 	%p<25>;
	.reg .b16 	%rs<38>;
	.reg .f32 	%f<2>;
	.reg .b32 	%r<43>;
	.reg .b64 	%rd<90>;

	ld.param.u64 	%rd37, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0];
	ld.param.u64 	%rd36, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1];
	{ .reg .b64 %tmp;
	  cvta.to.shared.u64 	%tmp, %rd37;
	  cvt.u32.u64 	%r4, %tmp; }
	ld.shared.v2.u32 	{%r5, %r6}, [%r4+16];
	cvt.u64.u32 	%rd1, %r5;
	sub.s64 	%rd2, %rd1, %rd36;
	cvt.u64.u32 	%rd3, %r6;
	min.u64 	%rd4, %rd2, %rd3;
	ld.shared.u32 	%r9, [%r4+24];
	setp.eq.s32 	%p1, %r9, 0;
	@%p1 bra 	$L__BB3_9;

	setp.lt.u64 	%p2, %rd4, 2;
	@%p2 bra 	$L__BB3_45;

	shl.b64 	%rd81, %rd36, 1;
	mov.u64 	%rd83, 1;

$L__BB3_3:
	add.s32 	%r22, %r4, 16;
	ld.shared.u64 	%rd9, [%r22+-16];
	setp.eq.s64 	%p3, %rd9, 0;
	@%p3 bra 	$L__BB3_6;

	add.s32 	%r23, %r4, 16;
	ld.shared.u32 	%r10, [%r23+8];
	setp.ne.s32 	%p4, %r10, 1;
	@%p4 bra 	$L__BB3_6;

	add.s64 	%rd39, %rd81, %rd9;
	ld.u8 	%r11, [%rd39];
	ld.u8 	%r12, [%rd39+1];
	prmt.b32 	%r13, %r12, %r11, 30212;
	ld.u8 	%r14, [%rd39+2];
	prmt.b32 	%r15, %r14, %r13, 28756;
	ld.u8 	%r16, [%rd39+3];
	prmt.b32 	%r17, %r16, %r15, 1620;
	mov.b32 	%f1, %r17;
	// begin inline asm
	cvt.rn.f16.f32 %rs30, %f1;
	// end inline asm
	bra.uni 	$L__BB3_8;

$L__BB3_6:
	mov.u16 	%rs30, 0;
	@%p3 bra 	$L__BB3_8;

	shr.u64 	%rd40, %rd36, 1;
	add.s64 	%rd41, %rd9, %rd40;
	ld.u8 	%rs21, [%rd41];
	// begin inline asm
	cvt.rn.f16.u16 %rs30, %rs21;
	// end inline asm

$L__BB3_8:
	add.s32 	%r24, %r4, 16;
	ld.shared.u64 	%rd42, [%r24+-8];
	add.s64 	%rd43, %rd36, %rd42;
	st.u8 	[%rd43], %rs30;
	shr.u16 	%rs22, %rs30, 8;
	st.u8 	[%rd43+1], %rs22;
	add.s64 	%rd36, %rd36, 2;
	add.s64 	%rd81, %rd81, 4;
	add.s64 	%rd83, %rd83, 2;
	setp.lt.u64 	%p6, %rd83, %rd4;
	@%p6 bra 	$L__BB3_3;
	bra.uni 	$L__BB3_45;

$L__BB3_9:
	setp.lt.u64 	%p7, %rd2, %rd3;
	@%p7 bra 	$L__BB3_25;
	bra.uni 	$L__BB3_10;

$L__BB3_25:
	setp.eq.s64 	%p15, %rd4, 0;
	@%p15 bra 	$L__BB3_45;

	add.s64 	%rd58, %rd4, -1;
	and.b64  	%rd18, %rd4, 3;
	setp.lt.u64 	%p16, %rd58, 3;
	mov.u64 	%rd87, 0;
	@%p16 bra 	$L__BB3_40;

	add.s64 	%rd60, %rd36, -1;
	sub.s64 	%rd61, %rd60, %rd1;
	not.b64 	%rd62, %rd3;
	max.u64 	%rd63, %rd61, %rd62;
	add.s64 	%rd64, %rd63, %rd18;
	add.s64 	%rd19, %rd64, 1;
	mov.u64 	%rd87, 0;
	mov.u64 	%rd85, %rd36;

$L__BB3_28:
	add.s32 	%r32, %r4, 16;
	ld.shared.u64 	%rd22, [%r32+-16];
	setp.eq.s64 	%p17, %rd22, 0;
	mov.u16 	%rs33, 0;
	@%p17 bra 	$L__BB3_30;

	add.s64 	%rd65, %rd85, %rd22;
	ld.u8 	%rs33, [%rd65];

$L__BB3_30:
	add.s32 	%r33, %r4, 16;
	ld.shared.u64 	%rd66, [%r33+-8];
	add.s64 	%rd67, %rd85, %rd66;
	st.u8 	[%rd67], %rs33;
	add.s32 	%r34, %r4, 16;
	ld.shared.u64 	%rd23, [%r34+-16];
	setp.eq.s64 	%p18, %rd23, 0;
	@%p18 bra 	$L__BB3_32;

	add.s64 	%rd68, %rd85, %rd23;
	ld.u8 	%rs34, [%rd68+1];
	bra.uni 	$L__BB3_33;

$L__BB3_32:
	mov.u16 	%rs34, 0;

$L__BB3_33:
	add.s32 	%r35, %r4, 16;
	ld.shared.u64 	%rd69, [%r35+-8];
	add.s64 	%rd70, %rd85, %rd69;
	st.u8 	[%rd70+1], %rs34;
	add.s32 	%r36, %r4, 16;
	ld.shared.u64 	%rd24, [%r36+-16];
	setp.eq.s64 	%p19, %rd24, 0;
	@%p19 bra 	$L__BB3_35;

	add.s64 	%rd71, %rd85, %rd24;
	ld.u8 	%rs35, [%rd71+2];
	bra.uni 	$L__BB3_36;

$L__BB3_35:
	mov.u16 	%rs35, 0;

$L__BB3_36:
	add.s32 	%r37, %r4, 16;
	ld.shared.u64 	%rd72, [%r37+-8];
	add.s64 	%rd73, %rd85, %rd72;
	st.u8 	[%rd73+2], %rs35;
	add.s32 	%r38, %r4, 16;
	ld.shared.u64 	%rd25, [%r38+-16];
	setp.eq.s64 	%p20, %rd25, 0;
	@%p20 bra 	$L__BB3_38;

	add.s64 	%rd74, %rd85, %rd25;
	ld.u8 	%rs36, [%rd74+3];
	bra.uni 	$L__BB3_39;

$L__BB3_38:
	mov.u16 	%rs36, 0;

$L__BB3_39:
	add.s32 	%r39, %r4, 16;
	ld.shared.u64 	%rd75, [%r39+-8];
	add.s64 	%rd76, %rd85, %rd75;
	st.u8 	[%rd76+3], %rs36;
	add.s64 	%rd85, %rd85, 4;
	add.s64 	%rd87, %rd87, 4;
	add.s64 	%rd77, %rd19, %rd87;
	setp.ne.s64 	%p21, %rd77, 0;
	@%p21 bra 	$L__BB3_28;

$L__BB3_40:
	setp.eq.s64 	%p22, %rd18, 0;
	@%p22 bra 	$L__BB3_45;

	add.s64 	%rd89, %rd87, %rd36;
	neg.s64 	%rd88, %rd18;

$L__BB3_42:
	.pragma "nounroll";
	add.s32 	%r40, %r4, 16;
	ld.shared.u64 	%rd33, [%r40+-16];
	setp.eq.s64 	%p23, %rd33, 0;
	mov.u16 	%rs37, 0;
	@%p23 bra 	$L__BB3_44;

	add.s64 	%rd78, %rd89, %rd33;
	ld.u8 	%rs37, [%rd78];

$L__BB3_44:
	add.s32 	%r41, %r4, 16;
	ld.shared.u64 	%rd79, [%r41+-8];
	add.s64 	%rd80, %rd89, %rd79;
	st.u8 	[%rd80], %rs37;
	add.s64 	%rd89, %rd89, 1;
	add.s64 	%rd88, %rd88, 1;
	setp.ne.s64 	%p24, %rd88, 0;
	@%p24 bra 	$L__BB3_42;
	bra.uni 	$L__BB3_45;

$L__BB3_10:
	cvt.u32.u64 	%r18, %rd3;
	setp.eq.s32 	%p8, %r18, 8;
	@%p8 bra 	$L__BB3_22;
	bra.uni 	$L__BB3_11;

$L__BB3_22:
	add.s32 	%r30, %r4, 16;
	ld.shared.u64 	%rd15, [%r30+-16];
	setp.eq.s64 	%p14, %rd15, 0;
	mov.u64 	%rd84, 0;
	@%p14 bra 	$L__BB3_24;

	add.s64 	%rd54, %rd15, %rd36;
	ld.u64 	%rd84, [%rd54];

$L__BB3_24:
	add.s32 	%r31, %r4, 16;
	ld.shared.u64 	%rd55, [%r31+-8];
	add.s64 	%rd56, %rd55, %rd36;
	st.u64 	[%rd56], %rd84;
	bra.uni 	$L__BB3_45;

$L__BB3_11:
	setp.eq.s32 	%p9, %r18, 4;
	@%p9 bra 	$L__BB3_19;
	bra.uni 	$L__BB3_12;

$L__BB3_19:
	add.s32 	%r28, %r4, 16;
	ld.shared.u64 	%rd14, [%r28+-16];
	mov.u32 	%r42, 0;
	setp.eq.s64 	%p13, %rd14, 0;
	@%p13 bra 	$L__BB3_21;

	add.s64 	%rd50, %rd14, %rd36;
	ld.u32 	%r42, [%rd50];

$L__BB3_21:
	add.s32 	%r29, %r4, 16;
	ld.shared.u64 	%rd51, [%r29+-8];
	add.s64 	%rd52, %rd51, %rd36;
	st.u32 	[%rd52], %r42;
	bra.uni 	$L__BB3_45;

$L__BB3_12:
	setp.eq.s32 	%p10, %r18, 2;
	add.s32 	%r25, %r4, 16;
	ld.shared.u64 	%rd13, [%r25+-16];
	@%p10 bra 	$L__BB3_16;
	bra.uni 	$L__BB3_13;

$L__BB3_16:
	setp.eq.s64 	%p12, %rd13, 0;
	mov.u16 	%rs32, 0;
	@%p12 bra 	$L__BB3_18;

	add.s64 	%rd47, %rd13, %rd36;
	ld.u16 	%rs32, [%rd47];

$L__BB3_18:
	add.s32 	%r27, %r4, 16;
	ld.shared.u64 	%rd48, [%r27+-8];
	add.s64 	%rd49, %rd48, %rd36;
	st.u16 	[%rd49], %rs32;
	bra.uni 	$L__BB3_45;

$L__BB3_13:
	setp.eq.s64 	%p11, %rd13, 0;
	mov.u16 	%rs31, 0;
	@%p11 bra 	$L__BB3_15;

	add.s64 	%rd44, %rd13, %rd36;
	ld.u8 	%rs31, [%rd44];

$L__BB3_15:
	add.s32 	%r26, %r4, 16;
	ld.shared.u64 	%rd45, [%r26+-8];
	add.s64 	%rd46, %rd45, %rd36;
	st.u8 	[%rd46], %rs31;

$L__BB3_45:
	ret;

}
)ptx";

}  // namespace tessera::device
